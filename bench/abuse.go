package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// abusePlan bounds a run that measures honest checks beside attacks.
type abusePlan struct {
	limit  time.Duration // of the whole run
	rounds int           // of quiet and loud slices for each attack, taking turns
	slice  time.Duration // of one of the two
	rate   int           // honest checks a second and transport
	slow   int           // connections that are slow
	idle   int           // connections that rest
	flood  int           // requests of an attacker a second
}

var (
	fullAbuse  = abusePlan{limit: 15 * time.Minute, rounds: 3, slice: 3 * time.Second, rate: 200, slow: 2000, idle: 10_000, flood: 2000}
	quickAbuse = abusePlan{limit: 2 * time.Minute, rounds: 1, slice: 300 * time.Millisecond, rate: 100, slow: 50, idle: 100, flood: 200}
)

// abuseReport is what came of it.
type abuseReport struct {
	Machine machine    `json:"machine"`
	Rounds  int        `json:"rounds"`
	Rate    int        `json:"rate"`
	Rows    []abuseRow `json:"rows"`
}

// abuseRow is the p99 of honest checks beside one attack, and the highest anonymous memory of the gate in MB.
type abuseRow struct {
	Attack string    `json:"attack"`
	GRPC   pairStats `json:"grpc_p99"`
	HTTP   pairStats `json:"http_p99"`
	Wrong  int       `json:"wrong"`
	RSS    int       `json:"rss_anon_mb"`
}

// measureAbuse asks honest checks quiet and beside each attack in turn.
func measureAbuse(ctx context.Context, p abusePlan, progress io.Writer) (out *abuseReport, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	small := quickPlan
	small.signers = 0
	r, err := setUp(ctx, small, progress)
	if err != nil {
		return nil, err
	}
	defer r.close()
	out = &abuseReport{Machine: thisMachine(), Rounds: p.rounds, Rate: p.rate}
	both, hangUp, err := r.dialBoth(p.rate)
	if err != nil {
		return nil, err
	}
	defer hangUp()
	both(ctx, p.slice/4) // connects
	for _, a := range r.abuses(p) {
		fmt.Fprintln(progress, "beside", a.name)
		row, err := r.besideAbuse(ctx, p, a, both)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, ctx.Err()
}

// asks asks over gRPC and over HTTP at once, at the rate, for a while.
type asks func(ctx context.Context, d time.Duration) [2]sample

// dialBoth opens the connections of those who ask honest checks.
func (r *rig) dialBoth(rate int) (both asks, hangUp func(), err error) {
	overGRPC, endGRPC, err := dialGRPC(r.gateGRPC().address, 4, 16, r.bodies)
	if err != nil {
		return nil, nil, err
	}
	overHTTP, endHTTP, err := dialHTTP(r.gateHTTP().address, 16, r.requests)
	if err != nil {
		endGRPC()
		return nil, nil, err
	}
	both = func(ctx context.Context, d time.Duration) (both [2]sample) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			both[0] = openLoop(ctx, overGRPC, r.all(), d, rate)
		}()
		both[1] = openLoop(ctx, overHTTP, r.all(), d, rate)
		<-done
		return both
	}
	return both, func() { endGRPC(); endHTTP() }, nil
}

func (r *rig) besideAbuse(ctx context.Context, p abusePlan, a abuse, both asks) (row abuseRow, err error) {
	memory := watchMemory(r.gate.cmd.Process.Pid)
	defer func() { row.RSS = memory() }()
	var quiet, loud [2][]sample
	for range p.rounds {
		for i, s := range both(ctx, p.slice) {
			quiet[i] = append(quiet[i], s)
		}
		end, err := begin(ctx, a)
		if err != nil {
			return row, err
		}
		for i, s := range both(ctx, p.slice) {
			loud[i] = append(loud[i], s)
		}
		end()
	}
	row.Attack = a.name
	row.GRPC, _ = newPairStats(quiet[0], loud[0], 0.99)
	row.HTTP, _ = newPairStats(quiet[1], loud[1], 0.99)
	for _, s := range slices.Concat(quiet[0], quiet[1], loud[0], loud[1]) {
		row.Wrong += s.wrong
	}
	return row, nil
}

// watchMemory samples a process until the function that it returns is called, which returns the highest RssAnon in MB.
func watchMemory(pid int) (highest func() int) {
	var most atomic.Int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			most.Store(max(most.Load(), rssAnon(pid)))
			select {
			case <-end:
				return
			case <-tick.C:
			}
		}
	}()
	return func() int { close(end); <-ended; return int(most.Load() >> 10) }
}

// rssAnon returns the anonymous memory of a process in kB, 0 where the system does not tell.
func rssAnon(pid int) int64 {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	text, _, _ := strings.Cut(rest, "kB")
	kB, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return kB
}

func (r *abuseReport) print(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "Machine: %s, %d cores, %s. Attackers, honest clients and the gate share it, over loopback.\n\n", r.Machine.System, r.Machine.Cores, r.Machine.Go)
	fmt.Fprintf(out, "p99 of honest checks, %d/s over each transport, quiet and beside an attack (%d pairs, taking turns; medians)\n\n", r.Rate, r.Rounds)
	fmt.Fprintln(t, "attack\tgRPC quiet us\tbeside us\tratio\tHTTP quiet us\tbeside us\tratio\twrong\tRssAnon MB\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.2f\t%d\t%d\t\n", row.Attack, row.GRPC.Quiet, row.GRPC.Beside, row.GRPC.Ratio,
			row.HTTP.Quiet, row.HTTP.Beside, row.HTTP.Ratio, row.Wrong, row.RSS)
	}
	return t.Flush()
}
