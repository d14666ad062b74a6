package main

import (
	"context"
	"sync"
	"time"
)

// measureBeside asks at a modest rate over both transports, in turn with nobody signing in and with a
// crowd that does nothing else.
func measureBeside(ctx context.Context, r *rig, p plan) (rows []besideRow, signIns signInRow, err error) {
	grpcCallers, hangUpGRPC, err := dialGRPC(r.gateGRPC().address, 4, 16, r.bodies)
	if err != nil {
		return nil, signIns, err
	}
	defer hangUpGRPC()
	httpCallers, hangUpHTTP, err := dialHTTP(r.gateHTTP().address, 16, r.requests)
	if err != nil {
		return nil, signIns, err
	}
	defer hangUpHTTP()
	both := func(d time.Duration) (both [2]sample) {
		var group sync.WaitGroup
		group.Go(func() { both[0] = openLoop(ctx, grpcCallers, r.all(), d, p.rate) })
		group.Go(func() { both[1] = openLoop(ctx, httpCallers, r.all(), d, p.rate) })
		group.Wait()
		return both
	}
	both(p.pairSlice / 4) // connects
	var quiet, loud [2][]sample
	var reached []float64
	for range p.pairs {
		for i, s := range both(p.pairSlice) {
			quiet[i] = append(quiet[i], s)
		}
		people, begin := gather(ctx, r.signers), time.Now()
		before := people.done.Load()
		for i, s := range both(p.pairSlice) {
			loud[i] = append(loud[i], s)
		}
		reached = append(reached, float64(people.done.Load()-before)/time.Since(begin).Seconds())
		people.disperse()
		signIns.Failed += int(people.failed.Load())
	}
	signIns.PerSecond = median(reached)
	return []besideRow{newBesideRow("gRPC", quiet[0], loud[0]), newBesideRow("HTTP", quiet[1], loud[1])}, signIns, ctx.Err()
}
