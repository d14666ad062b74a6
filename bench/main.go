// Command bench measures the gate beside servers of the same transport that do nothing, in one run and
// on one machine: checks over gRPC and HTTP, the check's latency beside people who sign in, and how soon
// a removed device is refused. With -timing it measures instead whether the time of a refused sign-in
// tells who has an account, and with -abuse what attacks cost the honest.
//
// It guarantees that every answer is looked at (a gate that answers wrongly is not fast), that all
// traffic stays on loopback, that a run is bounded in time, and that every process it starts has ended
// when it ends. It promises no number: gate and no-op take turns within the run, so that their ratio
// outlives the machine, and nothing else does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	if kind, ok := noopKind(os.Args); ok {
		exit(serveNoop(kind, os.Stdin, os.Stdout))
	}
	if isAttackers(os.Args) {
		exit(serveAttackers(os.Stdin, os.Stdout))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run does what the command line asks. The report goes to out, what is going on to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	quick := flags.Bool("quick", false, "a short run that shows that everything works; its numbers say little")
	timing := flags.Bool("timing", false, "measure whether the time of a refused sign-in tells who has an account, instead of the checks")
	abused := flags.Bool("abuse", false, "measure checks quiet and beside attacks, instead of the gate beside a no-op")
	only := flags.String("only", "", "with -abuse: the attacks whose names hold `TEXT`")
	alone := flags.Int("alone", 0, "with -timing: so many rounds alone instead of the plan's, to come to those beside a crowd sooner")
	output := flags.String("o", "table", "`FORM` of the report: table or json")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *output != "table" && *output != "json" || flags.NArg() > 0 || *timing && *abused {
		return errors.New("usage: bench [-quick] [-timing [-alone N] | -abuse [-only TEXT]] [-o table|json]")
	}
	debug.SetGCPercent(clientGC)
	report, err := measured(ctx, what{timing: *timing, abuse: *abused, quick: *quick, alone: *alone, only: *only}, progress)
	if err != nil {
		return err
	}
	if *output == "json" {
		return json.NewEncoder(out).Encode(report)
	}
	return report.print(out)
}

// printer is a report that people can read.
type printer interface{ print(io.Writer) error }

// what says what is to be measured.
type what struct {
	timing, abuse, quick bool
	alone                int    // rounds of timing; 0: the plan's
	only                 string // attacks whose names hold it
}

func measured(ctx context.Context, w what, progress io.Writer) (printer, error) {
	checks, attempts, attacks := fullPlan, fullTiming, fullAbuse
	if w.quick {
		checks, attempts, attacks = quickPlan, quickTiming, quickAbuse
	}
	if w.alone > 0 {
		attempts.alone = w.alone
	}
	attacks.only = w.only
	switch {
	case w.timing:
		return measureTiming(ctx, attempts, progress)
	case w.abuse:
		return measureAbuse(ctx, attacks, progress)
	}
	return measure(ctx, checks, progress)
}

// clientGC keeps the collector of this process, which is the client, out of the latencies.
const clientGC = 800
