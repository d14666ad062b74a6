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
	sizes  abuseSizes
	only   string // the attacks whose names hold it
}

// abuseSizes bound attacks. As fast as they can, floods would measure nothing but the attackers.
type abuseSizes struct {
	Slow  int `json:"slow"`  // connections that are slow
	Idle  int `json:"idle"`  // connections that rest
	Flood int `json:"flood"` // requests a second
}

var (
	fullAbuse  = abusePlan{limit: 15 * time.Minute, rounds: 3, slice: 3 * time.Second, rate: 200, sizes: abuseSizes{Slow: 2000, Idle: 10_000, Flood: 2000}}
	quickAbuse = abusePlan{limit: 2 * time.Minute, rounds: 1, slice: 300 * time.Millisecond, rate: 100, sizes: abuseSizes{Slow: 50, Idle: 100, Flood: 200}}
)

// abuseReport is what came of it.
type abuseReport struct {
	Machine machine    `json:"machine"`
	Rounds  int        `json:"rounds"`
	Rate    int        `json:"rate"`
	Strong  string     `json:"strong,omitempty"` // why the attackers' priority could not be lowered
	Rows    []abuseRow `json:"rows"`
}

// abuseRow is the p99 of honest checks beside one attack, what the attackers achieved meanwhile, and what the gate needed.
type abuseRow struct {
	Attack    string    `json:"attack"`
	GRPC      pairStats `json:"grpc_p99"`
	HTTP      pairStats `json:"http_p99"`
	Wrong     int       `json:"wrong"`
	PerSecond float64   `json:"attackers_per_second"` // of what they are counted by, the median of the rounds
	Acts      string    `json:"attackers_acts"`
	CPU       float64   `json:"gate_cpu"`    // beside the attack, in cores, without the process that hashes
	RSS       int       `json:"rss_anon_mb"` // the highest
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
	o := order{Victim: r.victim(), Sizes: p.sizes}
	for i, a := range o.Victim.abuses(p.sizes) {
		if !strings.Contains(a.name, p.only) {
			continue
		}
		fmt.Fprintln(progress, "beside", a.name)
		o.Attack = i
		row, strong, err := r.besideAbuse(ctx, p, o, both)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		row.Attack, row.Acts, out.Strong = a.name, a.acts, strong
		fmt.Fprintf(progress, "  gRPC %.2f, HTTP %.2f times the quiet p99; %.0f %s/s\n", row.GRPC.Ratio, row.HTTP.Ratio, row.PerSecond, row.Acts)
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

func (r *rig) victim() victim {
	return victim{HTTP: r.gateHTTP().address, GRPC: r.gateGRPC().address, API: r.gate.addresses["api"], Device: r.all()[0]}
}

// besideAbuse measures one attack. strong says why the attackers' priority could not be lowered.
func (r *rig) besideAbuse(ctx context.Context, p abusePlan, o order, both asks) (row abuseRow, strong string, err error) {
	memory := watchMemory(r.gate.cmd.Process.Pid)
	defer func() { row.RSS = memory() }()
	var quiet, loud [2][]sample
	var reached, cores []float64
	for range p.rounds {
		for i, s := range both(ctx, p.slice) {
			quiet[i] = append(quiet[i], s)
		}
		attackers, err := r.attack(ctx, o)
		if err != nil {
			return row, strong, err
		}
		strong = attackers.strong
		before, begun := cpuTime(r.gate.cmd.Process.Pid), time.Now()
		for i, s := range both(ctx, p.slice) {
			loud[i] = append(loud[i], s)
		}
		cores = append(cores, ratio((cpuTime(r.gate.cmd.Process.Pid)-before).Seconds(), time.Since(begun).Seconds()))
		perSecond, err := attackers.end()
		if err != nil {
			return row, strong, err
		}
		reached = append(reached, perSecond)
	}
	row.GRPC, _ = newPairStats(quiet[0], loud[0], 0.99)
	row.HTTP, _ = newPairStats(quiet[1], loud[1], 0.99)
	row.PerSecond, row.CPU = median(reached), median(cores)
	for _, s := range slices.Concat(quiet[0], quiet[1], loud[0], loud[1]) {
		row.Wrong += s.wrong
	}
	return row, strong, nil
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
	fmt.Fprintf(out, "Machine: %s, %d cores, %s. Attackers, honest clients and the gate share it, over loopback.\n", r.Machine.System, r.Machine.Cores, r.Machine.Go)
	if r.Strong != "" {
		fmt.Fprintf(out, "The attackers are as strong as the honest clients, because their priority cannot be lowered: %s\n", r.Strong)
	}
	fmt.Fprintf(out, "\np99 of honest checks, %d/s over each transport, quiet and beside an attack (%d pairs, taking turns; medians)\n\n", r.Rate, r.Rounds)
	fmt.Fprintln(t, "attack\tgRPC quiet us\tbeside us\tratio\tHTTP quiet us\tbeside us\tratio\twrong\tRssAnon MB\tgate's cores\tattackers did\t")
	for _, row := range r.Rows {
		fmt.Fprintf(t, "%s\t%.0f\t%.0f\t%.2f\t%.0f\t%.0f\t%.2f\t%d\t%d\t%.2f\t%.0f %s/s\t\n", row.Attack, row.GRPC.Quiet, row.GRPC.Beside, row.GRPC.Ratio,
			row.HTTP.Quiet, row.HTTP.Beside, row.HTTP.Ratio, row.Wrong, row.RSS, row.CPU, row.PerSecond, row.Acts)
	}
	return t.Flush()
}
