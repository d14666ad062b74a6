package main

import (
	"context"
	"time"
)

// measureRemoval ends every device but the first of each person, and asks for it over both transports
// directly before and directly after. One that passes afterwards is wrong, and so is one refused before.
func measureRemoval(ctx context.Context, r *rig) (row removalRow, err error) {
	grpcCallers, hangUpGRPC, err := dialGRPC(r.gateGRPC().address, 1, 1, r.bodies)
	if err != nil {
		return row, err
	}
	defer hangUpGRPC()
	httpCallers, hangUpHTTP, err := dialHTTP(r.gateHTTP().address, 1, r.requests)
	if err != nil {
		return row, err
	}
	defer hangUpHTTP()
	callers := append(grpcCallers, httpCallers...)
	var answered, refused []time.Duration
	for i, who := range r.people {
		for _, target := range r.devices[i][1:] {
			row.Wrong += wrongAnswers(ctx, callers, target, true)
			sent := time.Now()
			if err := who.remove(ctx, r.devices[i][0], target); err != nil {
				return row, err
			}
			answered = append(answered, time.Since(sent))
			row.Wrong += wrongAnswers(ctx, callers, target, false)
			refused = append(refused, time.Since(sent))
		}
	}
	row.Count = len(answered)
	row.AnsweredP50, row.AnsweredP99 = microseconds(percentile(answered, 0.5)), microseconds(percentile(answered, 0.99))
	row.RefusedP50, row.RefusedP99 = microseconds(percentile(refused, 0.5)), microseconds(percentile(refused, 0.99))
	return row, ctx.Err()
}

// wrongAnswers asks every caller once and counts the answers that are not as wanted.
func wrongAnswers(ctx context.Context, callers []caller, d device, want bool) (wrong int) {
	for _, c := range callers {
		if allowed, err := c.check(ctx, d); err != nil || allowed != want {
			wrong++
		}
	}
	return wrong
}
