package main

import "time"

// plan bounds a run.
type plan struct {
	limit time.Duration // of the whole run; then everything is ended and it fails

	users, devices int // accounts whose tokens are checked, and devices of each

	rounds      int           // of every load and server, taking turns
	slice       time.Duration // of one server under one load in one round
	maxRequests int           // of one client in one slice

	pairs     int           // of quiet and loud slices, taking turns
	pairSlice time.Duration // of one of the two
	rate      int           // checks per second and transport meanwhile
	signers   int           // clients that sign in without pause in the loud ones
}

var (
	fullPlan = plan{
		limit: 8 * time.Minute, users: 4, devices: 32,
		rounds: 9, slice: 1200 * time.Millisecond, maxRequests: 100_000,
		pairs: 7, pairSlice: 4 * time.Second, rate: 400, signers: 8,
	}
	quickPlan = plan{
		limit: 2 * time.Minute, users: 2, devices: 6,
		rounds: 2, slice: 200 * time.Millisecond, maxRequests: 5_000,
		pairs: 2, pairSlice: 500 * time.Millisecond, rate: 200, signers: 8,
	}
)
