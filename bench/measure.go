package main

import (
	"context"
	"fmt"
	"io"
)

// measure does everything that a plan says.
func measure(ctx context.Context, p plan, progress io.Writer) (*report, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	r, err := setUp(ctx, p, progress)
	if err != nil {
		return nil, err
	}
	defer r.close()
	out := &report{Machine: thisMachine(), Rounds: p.rounds, Pairs: p.pairs, Rate: p.rate, Signers: p.signers}
	fmt.Fprintf(progress, "checks, %d rounds\n", p.rounds)
	if out.Checks, err = measureChecks(ctx, r, p); err != nil {
		return nil, err
	}
	fmt.Fprintf(progress, "checks beside sign-ins, %d rounds\n", p.pairs)
	if out.Beside, out.SignIns, err = measureBeside(ctx, r, p); err != nil {
		return nil, err
	}
	fmt.Fprintln(progress, "removals")
	if out.Removal, err = measureRemoval(ctx, r); err != nil {
		return nil, err
	}
	return out, ctx.Err()
}
