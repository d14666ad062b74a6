package lockout_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"devicegate/lockout"
)

// tally is what the rules say of one counter, written down without a store.
type tally struct {
	failures    int
	last, until time.Time
}

// model is what the rules say of one name; its keys are those of bench.failures.
type model struct {
	b        *bench
	counters map[string]tally
}

func (m *model) of(a lockout.Attempt) []string {
	if a.Device != (uuid.UUID{}) {
		return []string{a.Device.String()}
	}
	return []string{lockout.Network(a.IP), "*"}
}

func (m *model) threshold(key string) int {
	if key == "*" {
		return m.b.opts.NameThreshold
	}
	return m.b.opts.Threshold
}

func (m *model) expire() {
	for key, c := range m.counters {
		if m.b.clock.Now().Sub(c.last) >= m.b.opts.Window {
			delete(m.counters, key)
		}
	}
}

func (m *model) wait(a lockout.Attempt) (wait time.Duration) {
	for _, key := range m.of(a) {
		wait = max(wait, m.counters[key].until.Sub(m.b.clock.Now()))
	}
	return wait
}

func (m *model) fail(a lockout.Attempt) {
	now := m.b.clock.Now()
	for _, key := range m.of(a) {
		c := m.counters[key]
		c.failures++
		c.last = now
		if c.failures >= m.threshold(key) {
			delay := m.b.opts.BaseDelay
			for range c.failures - m.threshold(key) {
				delay = min(delay*2, m.b.opts.MaxDelay)
			}
			c.until = now.Add(delay)
		}
		m.counters[key] = c
	}
}

func (m *model) succeed(a lockout.Attempt) {
	keys := m.of(a)
	own := m.counters[keys[0]].failures
	delete(m.counters, keys[0])
	if all, ok := m.counters["*"]; ok && len(keys) == 2 {
		if all.failures -= own; all.failures > 0 {
			m.counters["*"] = all
		} else {
			delete(m.counters, "*")
		}
	}
}

func (m *model) failures() map[string]int {
	got := map[string]int{}
	for key, c := range m.counters {
		got[key] = c.failures
	}
	return got
}

// attempt tries and compares whether, and for how long, it is refused.
func (m *model) attempt(t *rapid.T, a lockout.Attempt, right bool) {
	try, err := m.b.Begin(m.b.t.Context(), a)
	if wait := m.wait(a); wait > 0 {
		if locked := new(lockout.LockedError); !errors.As(err, &locked) || locked.RetryAfter != wait {
			t.Fatalf("begin from %v: %v, want locked for %v", a.IP, err, wait)
		}
		return
	}
	if err != nil {
		t.Fatalf("begin from %v: %v, want a try", a.IP, err)
	}
	defer try.Done()
	if !right {
		m.fail(a)
		if err := try.Fail(m.b.t.Context(), m.b.commit); err != nil {
			t.Fatalf("fail: %v", err)
		}
		return
	}
	m.succeed(a)
	txn, err := try.Succeed(m.b.t.Context())
	if err == nil {
		err = m.b.commit(m.b.t.Context(), txn)
	}
	if err != nil {
		t.Fatalf("succeed: %v", err)
	}
}

// Any history of one name goes as the rules say, with restarts and sweeps between.
func TestHistories(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) {
		o.Threshold, o.NameThreshold, o.MaxDelay, o.Window = 3, 5, 5*time.Minute, 20*time.Minute
	})
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		name := fmt.Sprint("name ", runs)
		m := &model{b: b, counters: map[string]tally{}}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			a := as(name, rapid.SampledFrom([]string{"", home, cafe, "::ffff:" + home, "2001:db8::1", "2001:db8::2"}).Draw(t, "ip"))
			a.Known = rapid.Bool().Draw(t, "known")
			if rapid.IntRange(0, 4).Draw(t, "device") == 0 {
				a.Device = phone
			}
			switch rapid.SampledFrom([]string{"wrong", "wrong", "wrong", "wrong", "right", "time", "time", "sweep", "restart", "clear"}).Draw(t, "what") {
			case "wrong":
				m.attempt(t, a, false)
			case "right":
				m.attempt(t, a, true)
			case "time":
				b.clock.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 4 * time.Minute, 19 * time.Minute, 20 * time.Minute}).Draw(t, "by"))
			case "sweep":
				sweep(b)
			case "restart":
				b.restart()
			case "clear":
				if err := b.ClearName(b.t.Context(), hash(name)); err != nil {
					t.Fatalf("clear: %v", err)
				}
				clear(m.counters)
			}
			m.expire()
			if diff := cmp.Diff(m.failures(), b.failures(name)); diff != "" {
				t.Fatalf("failures (-want +got):\n%s", diff)
			}
		}
	})
}
