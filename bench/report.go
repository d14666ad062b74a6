package main

import (
	"runtime"
	"slices"
	"time"
)

// report is what a run found. Every figure of a slice is the median of its rounds; times are in
// microseconds.
type report struct {
	Machine machine     `json:"machine"`
	Rounds  int         `json:"rounds"`
	Checks  []checkRow  `json:"checks"`
	Pairs   int         `json:"pairs"`
	Rate    int         `json:"rate"`
	Signers int         `json:"signers"`
	Beside  []besideRow `json:"beside_sign_ins"`
	SignIns signInRow   `json:"sign_ins"`
	Removal removalRow  `json:"removal"`
}

type machine struct {
	System string `json:"system"`
	Cores  int    `json:"cores"`
	Go     string `json:"go"`
}

func thisMachine() machine {
	return machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version()}
}

// checkRow is one load, on the gate and on the no-op.
type checkRow struct {
	Load  string     `json:"load"`
	Gate  checkStats `json:"gate"`
	Noop  checkStats `json:"noop"`
	Ratio struct {
		PerSecond float64 `json:"per_second"`
		P50       float64 `json:"p50"`
		P99       float64 `json:"p99"`
		CPU       float64 `json:"cpu"`
	} `json:"gate_to_noop"` // of the medians
}

type checkStats struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50"`
	P99       float64 `json:"p99"`
	CPU       float64 `json:"cpu"` // of the server, per request; 0 where the system does not tell
	Wrong     int     `json:"wrong"`
}

func newCheckRow(l load, slices [2][]sample) checkRow {
	row := checkRow{Load: l.name, Gate: newCheckStats(slices[0]), Noop: newCheckStats(slices[1])}
	row.Ratio.PerSecond = ratio(row.Gate.PerSecond, row.Noop.PerSecond)
	row.Ratio.P50 = ratio(row.Gate.P50, row.Noop.P50)
	row.Ratio.P99 = ratio(row.Gate.P99, row.Noop.P99)
	row.Ratio.CPU = ratio(row.Gate.CPU, row.Noop.CPU)
	return row
}

func newCheckStats(slices []sample) (stats checkStats) {
	var perSecond, p50, p99, cpu []float64
	for _, s := range slices {
		n := float64(len(s.latencies))
		perSecond = append(perSecond, ratio(n, s.elapsed.Seconds()))
		p50 = append(p50, microseconds(percentile(s.latencies, 0.5)))
		p99 = append(p99, microseconds(percentile(s.latencies, 0.99)))
		cpu = append(cpu, ratio(microseconds(s.cpu), n))
		stats.Wrong += s.wrong
	}
	stats.PerSecond, stats.P50, stats.P99, stats.CPU = median(perSecond), median(p50), median(p99), median(cpu)
	return stats
}

// besideRow is the gate's latency at a fixed rate, with nobody signing in and beside a crowd.
type besideRow struct {
	Transport string    `json:"transport"`
	P50       pairStats `json:"p50"`
	P99       pairStats `json:"p99"`
	BestP99   pairStats `json:"best_p99"`
	Wrong     int       `json:"wrong"`
}

// pairStats holds medians of all pairs, or the best of them, which whatever else ran meanwhile has
// disturbed least.
type pairStats struct {
	Quiet  float64 `json:"quiet"`
	Beside float64 `json:"beside"`
	Ratio  float64 `json:"ratio"` // the median of the pairs'; of the best: theirs
}

func newBesideRow(transport string, quiet, loud []sample) besideRow {
	row := besideRow{Transport: transport}
	row.P50, _ = newPairStats(quiet, loud, 0.5)
	row.P99, row.BestP99 = newPairStats(quiet, loud, 0.99)
	for i := range quiet {
		row.Wrong += quiet[i].wrong + loud[i].wrong
	}
	return row
}

func newPairStats(quiet, loud []sample, p float64) (middle, best pairStats) {
	var qs, ls, ratios []float64
	for i := range quiet {
		q, l := microseconds(percentile(quiet[i].latencies, p)), microseconds(percentile(loud[i].latencies, p))
		qs, ls, ratios = append(qs, q), append(ls, l), append(ratios, ratio(l, q))
	}
	best = pairStats{Quiet: slices.Min(qs), Beside: slices.Min(ls)}
	best.Ratio = ratio(best.Beside, best.Quiet)
	return pairStats{Quiet: median(qs), Beside: median(ls), Ratio: median(ratios)}, best
}

type signInRow struct {
	PerSecond float64 `json:"per_second"`
	Failed    int     `json:"failed"`
}

// removalRow is the time from a DELETE sent to its 204, and to the last of the refused checks after it.
type removalRow struct {
	Count       int     `json:"count"`
	AnsweredP50 float64 `json:"answered_p50"`
	AnsweredP99 float64 `json:"answered_p99"`
	RefusedP50  float64 `json:"refused_p50"`
	RefusedP99  float64 `json:"refused_p99"`
	Wrong       int     `json:"wrong"`
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
