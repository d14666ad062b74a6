package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// rig is everything a run measures, started and signed in.
type rig struct {
	gate               *gate
	noopGRPC, noopHTTP target
	people             []*person
	devices            [][]device // of each of people
	signers            []*person
	bodies             map[string][]byte
	requests           map[string][]byte
	closers            []func()
}

// target is one side of a comparison.
type target struct {
	name    string
	address string
	pid     int
}

func (r *rig) all() (all []device) {
	for _, own := range r.devices {
		all = append(all, own...)
	}
	return all
}

func (r *rig) gateGRPC() target {
	return target{"gate", r.gate.addresses["checks.grpc"], r.gate.cmd.Process.Pid}
}

func (r *rig) gateHTTP() target {
	return target{"gate", r.gate.addresses["checks.http"], r.gate.cmd.Process.Pid}
}

// close ends every process and removes what was kept.
func (r *rig) close() {
	for i := len(r.closers) - 1; i >= 0; i-- {
		r.closers[i]()
	}
}

// setUp builds and starts everything. The caller closes the rig.
func setUp(ctx context.Context, p plan, progress io.Writer) (r *rig, err error) {
	r = &rig{}
	defer func() {
		if err != nil {
			r.close()
			r = nil
		}
	}()
	dir, err := os.MkdirTemp("", "devicegate-bench-")
	if err != nil {
		return r, err
	}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(dir) })
	fmt.Fprintln(progress, "building and starting the gate")
	binary, err := buildGate(ctx, dir)
	if err != nil {
		return r, err
	}
	if r.gate, err = startGate(ctx, binary, dir); err != nil {
		return r, err
	}
	r.closers = append(r.closers, r.gate.stop)
	if r.noopGRPC, err = r.noop(ctx, "grpc"); err != nil {
		return r, err
	}
	if r.noopHTTP, err = r.noop(ctx, "http"); err != nil {
		return r, err
	}
	fmt.Fprintf(progress, "signing in %d devices of %d users\n", p.users*p.devices, p.users)
	return r, r.signInAll(ctx, p)
}

func (r *rig) noop(ctx context.Context, kind string) (target, error) {
	process, address, err := startNoop(ctx, kind)
	if err != nil {
		return target{}, err
	}
	r.closers = append(r.closers, process.stop)
	return target{"no-op", address, process.cmd.Process.Pid}, nil
}

// signInAll makes the accounts and signs in the devices whose tokens are checked. Those who sign in
// without pause later are other accounts: their devices may push each other out.
func (r *rig) signInAll(ctx context.Context, p plan) error {
	for i := range p.users + p.signers {
		who := newPerson(r.gate.addresses["api"], fmt.Sprintf("user-%d", i))
		if err := r.gate.addUser(ctx, who.name, password); err != nil {
			return err
		}
		if i < p.users {
			r.people = append(r.people, who)
		} else {
			r.signers = append(r.signers, who)
		}
	}
	r.devices = make([][]device, p.users)
	errs := make([]error, p.users)
	var group sync.WaitGroup
	for i, who := range r.people {
		group.Go(func() { r.devices[i], errs[i] = signInDevices(ctx, who, p.devices) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var err error
	r.requests = checkRequests(r.all())
	r.bodies, err = checkBodies(r.all())
	return err
}

func signInDevices(ctx context.Context, who *person, count int) ([]device, error) {
	devices := make([]device, count)
	for i := range devices {
		d, err := who.signIn(ctx)
		if err != nil {
			return nil, err
		}
		devices[i] = d
	}
	return devices, nil
}
