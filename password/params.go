package password

import (
	"errors"
	"fmt"
)

// Upper limits of Params, for the configuration and for stored hashes alike: a hostile or damaged
// record must not be able to ask for all the memory or all the time there is.
const (
	MaxMemory      int64 = 1 << 30 // bytes
	MaxIterations        = 64
	MaxParallelism       = 16
)

const kib = 1 << 10

// Params is what one argon2id hash costs.
type Params struct {
	Memory      int64 // bytes, in whole KiB, at least 8 KiB for each lane
	Iterations  int   // passes over the memory
	Parallelism int   // lanes, computed side by side
}

// Default is OWASP's recommendation for argon2id, and the least that a configuration may ask for.
var Default = Params{Memory: 19 << 20, Iterations: 2, Parallelism: 1}

// Validate returns every fault of params that an operator chose, joined: each member must be at
// least Default's and at most its Max. Config calls it; a Pool takes cheaper ones, for tests.
func (p Params) Validate() error {
	var faults []error
	if p.Memory < Default.Memory || p.Memory > MaxMemory || p.Memory%kib != 0 {
		faults = append(faults, fmt.Errorf("memory must be 19MiB to 1GiB in whole KiB (less makes stolen hashes cheap to guess), not %d bytes", p.Memory))
	}
	if p.Iterations < Default.Iterations || p.Iterations > MaxIterations {
		faults = append(faults, fmt.Errorf("iterations must be %d to %d, not %d", Default.Iterations, MaxIterations, p.Iterations))
	}
	if p.Parallelism < Default.Parallelism || p.Parallelism > MaxParallelism {
		faults = append(faults, fmt.Errorf("parallelism must be %d to %d, not %d", Default.Parallelism, MaxParallelism, p.Parallelism))
	}
	return errors.Join(faults...)
}

// check refuses what argon2 cannot compute and what nobody may ask for.
func (p Params) check() error {
	switch {
	case p.Parallelism < 1 || p.Parallelism > MaxParallelism:
		return fmt.Errorf("password: parallelism %d is outside 1 to %d", p.Parallelism, MaxParallelism)
	case p.Iterations < 1 || p.Iterations > MaxIterations:
		return fmt.Errorf("password: iterations %d are outside 1 to %d", p.Iterations, MaxIterations)
	case p.Memory < int64(p.Parallelism)*8*kib || p.Memory > MaxMemory || p.Memory%kib != 0:
		return fmt.Errorf("password: memory of %d bytes is not in whole KiB from 8 KiB a lane to 1 GiB", p.Memory)
	}
	return nil
}

func (p Params) kib() uint32 { return uint32(p.Memory / kib) }
