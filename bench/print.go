package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// print writes the report for people.
func (r *report) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "Machine: %s, %d cores, %s. Client and servers share it, over loopback.\n", r.Machine.System, r.Machine.Cores, r.Machine.Go)

	fmt.Fprintf(out, "\nChecks: the gate beside a server of the same transport that only says OK\n")
	fmt.Fprintf(out, "(%d rounds, taking turns; medians; the ratio is gate / no-op)\n\n", r.Rounds)
	fmt.Fprintln(t, "load\tserver\tchecks/s\tp50 us\tp99 us\tserver CPU us/check\twrong\t")
	for _, row := range r.Checks {
		printStats(t, row.Load, "gate", row.Gate)
		printStats(t, row.Load, "no-op", row.Noop)
		fmt.Fprintf(t, "%s\tratio\t%.2f\t%.2f\t%.2f\t%.2f\t\t\n", row.Load, row.Ratio.PerSecond, row.Ratio.P50, row.Ratio.P99, row.Ratio.CPU)
	}
	if err := t.Flush(); err != nil {
		return err
	}

	fmt.Fprintf(out, "\nThe gate's checks at %d/s over each transport, quiet and beside %d clients that sign in without pause\n", r.Rate, r.Signers)
	fmt.Fprintf(out, "(%d pairs, taking turns; medians; the ratio is the median of the pairs')\n\n", r.Pairs)
	fmt.Fprintln(t, "transport\tlatency\tquiet us\tbeside us\tratio\twrong\t")
	for _, row := range r.Beside {
		printPair(t, row.Transport, "p50", row.P50, "")
		printPair(t, row.Transport, "p99", row.P99, fmt.Sprint(row.Wrong))
		printPair(t, row.Transport, "p99 of the best slice", row.BestP99, "")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(out, "sign-ins meanwhile: %.1f/s, failed: %d\n", r.SignIns.PerSecond, r.SignIns.Failed)

	d := r.Removal
	fmt.Fprintf(out, "\nRemoving a device (%d of them, one after the other)\n\n", d.Count)
	fmt.Fprintln(t, "from DELETE sent to\tp50 us\tp99 us\twrong\t")
	fmt.Fprintf(t, "204 received\t%.0f\t%.0f\t\t\n", d.AnsweredP50, d.AnsweredP99)
	fmt.Fprintf(t, "refused over gRPC and HTTP\t%.0f\t%.0f\t%d\t\n", d.RefusedP50, d.RefusedP99, d.Wrong)
	return t.Flush()
}

func printPair(t io.Writer, transport, what string, s pairStats, wrong string) {
	fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.2f\t%s\t\n", transport, what, s.Quiet, s.Beside, s.Ratio, wrong)
}

func printStats(t io.Writer, load, name string, s checkStats) {
	cpu := "?"
	if s.CPU > 0 {
		cpu = fmt.Sprintf("%.1f", s.CPU)
	}
	fmt.Fprintf(t, "%s\t%s\t%.0f\t%.0f\t%.0f\t%s\t%d\t\n", load, name, s.PerSecond, s.P50, s.P99, cpu, s.Wrong)
}
