package main

import (
	"context"
	"fmt"
)

// load is one shape of traffic, and the two servers that get it.
type load struct {
	name    string
	servers [2]target // the gate, the no-op
	dial    func(address string) (callers []caller, hangUp func(), err error)
}

func (r *rig) loads() []load {
	overGRPC := func(conns, streams int) load {
		return load{
			name:    fmt.Sprintf("gRPC, %d x %d streams", conns, streams),
			servers: [2]target{r.gateGRPC(), r.noopGRPC},
			dial: func(address string) ([]caller, func(), error) {
				return dialGRPC(address, conns, streams, r.bodies)
			},
		}
	}
	overHTTP := func(name string, conns int) load {
		return load{
			name:    name,
			servers: [2]target{r.gateHTTP(), r.noopHTTP},
			dial:    func(address string) ([]caller, func(), error) { return dialHTTP(address, conns, r.requests) },
		}
	}
	return []load{overGRPC(4, 16), overGRPC(1, 1), overHTTP("HTTP, 16 connections", 16), overHTTP("HTTP, 1 connection", 1)}
}

// measureChecks gives every load to the gate and the no-op in turn, round after round, so that whatever
// else the machine does meanwhile meets both.
func measureChecks(ctx context.Context, r *rig, p plan) (rows []checkRow, err error) {
	for _, l := range r.loads() {
		var slices [2][]sample
		if _, err := oneSlice(ctx, l, 0, r, p); err != nil { // verifies every token once: a hit is what repeats
			return nil, err
		}
		for round := range p.rounds {
			for turn := range 2 {
				which := (round + turn) % 2 // who goes first changes as well
				s, err := oneSlice(ctx, l, which, r, p)
				if err != nil {
					return nil, err
				}
				slices[which] = append(slices[which], s)
			}
		}
		rows = append(rows, newCheckRow(l, slices))
	}
	return rows, nil
}

// oneSlice dials anew, so that no server profits from the other's pause.
func oneSlice(ctx context.Context, l load, which int, r *rig, p plan) (sample, error) {
	target := l.servers[which]
	callers, hangUp, err := l.dial(target.address)
	if err != nil {
		return sample{}, err
	}
	defer hangUp()
	devices := r.all()
	for _, c := range callers { // connects, which is no part of a check
		if _, err := c.check(ctx, devices[0]); err != nil {
			return sample{}, fmt.Errorf("%s, %s: %w", l.name, target.name, err)
		}
	}
	before := cpuTime(target.pid)
	s := closedLoop(ctx, callers, devices, p)
	s.cpu = cpuTime(target.pid) - before
	return s, ctx.Err()
}
