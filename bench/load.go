package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

// caller asks one check at a time and says whether the answer was allow. It belongs to one goroutine.
type caller interface {
	check(ctx context.Context, d device) (allowed bool, err error)
}

// sample is what one slice of a load came to.
type sample struct {
	latencies []time.Duration // of every check
	elapsed   time.Duration
	cpu       time.Duration // that the server used
	wrong     int           // answers other than the expected one, and failures
}

// closedLoop lets every caller ask its next check as soon as the last was answered.
func closedLoop(ctx context.Context, callers []caller, devices []device, p plan) sample {
	var (
		all   = make([]sample, len(callers))
		group sync.WaitGroup
		begin = time.Now()
		end   = begin.Add(p.slice)
	)
	for i, c := range callers {
		group.Go(func() { all[i] = oneCaller(ctx, c, devices, i, end, p.maxRequests) })
	}
	group.Wait()
	total := sample{elapsed: time.Since(begin)}
	for _, s := range all {
		total.latencies = append(total.latencies, s.latencies...)
		total.wrong += s.wrong
	}
	return total
}

// oneCaller goes through the devices, each caller from a place of its own.
func oneCaller(ctx context.Context, c caller, devices []device, at int, end time.Time, limit int) (s sample) {
	for now := time.Now(); now.Before(end) && len(s.latencies) < limit && ctx.Err() == nil; at++ {
		allowed, err := c.check(ctx, devices[at%len(devices)])
		after := time.Now()
		if err != nil || !allowed {
			s.wrong++
		}
		s.latencies = append(s.latencies, after.Sub(now))
		now = after
	}
	return s
}

// openLoop asks rate checks a second whether or not earlier ones were answered, as clients do that know
// nothing of each other: a server that stalls is then seen to stall by all who came meanwhile.
func openLoop(ctx context.Context, callers []caller, devices []device, slice time.Duration, rate int) sample {
	free := make(chan caller, len(callers))
	for _, c := range callers {
		free <- c
	}
	var (
		mu    sync.Mutex
		total sample
		group sync.WaitGroup
		begin = time.Now()
		count = int(slice.Seconds() * float64(rate))
	)
	due := time.NewTimer(0)
	defer due.Stop()
	for i := range count { // by the clock, not by a ticker, which leaves out what it is late for
		due.Reset(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		<-due.C
		sent := time.Now()
		group.Go(func() {
			c := <-free
			allowed, err := c.check(ctx, devices[i%len(devices)])
			took := time.Since(sent)
			free <- c
			mu.Lock()
			defer mu.Unlock()
			total.latencies = append(total.latencies, took)
			if err != nil || !allowed {
				total.wrong++
			}
		})
	}
	group.Wait()
	total.elapsed = time.Since(begin)
	return total
}

// percentile returns the value that the share p of the values, 0 to 1, does not exceed.
func percentile(values []time.Duration, p float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[min(int(p*float64(len(values))), len(values)-1)]
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[mid-1] + sorted[mid]) / 2
	}
	return sorted[mid]
}
