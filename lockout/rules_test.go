package lockout_test

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"devicegate/db/dbtest"
	"devicegate/lockout"
)

const (
	home  = "203.0.113.9"
	cafe  = "198.51.100.7"
	other = "192.0.2.1"
)

// step is one line of a rule's story.
type step func(b *bench)

func fails(n int, a lockout.Attempt) step {
	return func(b *bench) {
		b.t.Helper()
		for range n {
			b.fail(a)
		}
	}
}

func signsIn(a lockout.Attempt) step { return func(b *bench) { b.t.Helper(); b.succeed(a) } }

func locked(a lockout.Attempt, wait time.Duration) step {
	return func(b *bench) { b.t.Helper(); b.wantLocked(a, wait) }
}

func free(a lockout.Attempt) step { return func(b *bench) { b.t.Helper(); b.begin(a).Done() } }

func after(d time.Duration) step { return func(b *bench) { b.clock.Advance(d) } }

func restart(b *bench) { b.restart() }

func sweep(b *bench) {
	b.t.Helper()
	if _, _, err := b.Sweep(b.t.Context(), 1000); err != nil {
		b.t.Fatalf("sweep: %v", err)
	}
}

// crowd lets n networks fail once each.
func crowd(n int, as func(ip string) lockout.Attempt) step {
	return func(b *bench) {
		b.t.Helper()
		for i := range n {
			b.fail(as(fmt.Sprintf("10.0.%d.%d", i/256, i%256)))
		}
	}
}

func counts(name string, want map[string]int) step {
	return func(b *bench) {
		b.t.Helper()
		if diff := cmp.Diff(want, b.failures(name)); diff != "" {
			b.t.Errorf("failures of %s (-want +got):\n%s", name, diff)
		}
	}
}

const ms = time.Millisecond

func TestRules(t *testing.T) {
	for name, story := range map[string][]step{
		"locks at the threshold, and ends with the lock": {
			fails(5, from(home)), locked(from(home), time.Minute), after(time.Minute - ms), locked(from(home), ms), after(ms), free(from(home)),
		},
		"each further failure doubles the lock, up to the longest": {
			fails(5, from(home)), locked(from(home), time.Minute),
			after(time.Minute), fails(1, from(home)), locked(from(home), 2*time.Minute),
			after(2 * time.Minute), fails(1, from(home)), locked(from(home), 4*time.Minute),
			after(4 * time.Minute), fails(1, from(home)), after(8 * time.Minute), fails(1, from(home)), after(16 * time.Minute),
			fails(1, from(home)), locked(from(home), 32*time.Minute),
			after(32 * time.Minute), fails(1, from(home)), locked(from(home), time.Hour),
			after(time.Hour), fails(1, from(home)), locked(from(home), time.Hour),
		},
		"a retry while locked extends nothing": {
			fails(5, from(home)), after(30 * time.Second), locked(from(home), 30*time.Second), locked(from(home), 30*time.Second),
			counts("alice", map[string]int{"*": 5, home + "/32": 5}), after(30 * time.Second), free(from(home)),
		},
		"another network and another name go on": {
			fails(5, from(home)), free(from(cafe)), free(from("")), free(as("bob", home)),
		},
		"an unknown address is a network of its own": {
			fails(5, from("")), locked(from(""), time.Minute), free(from(home)),
		},
		"an IPv6 network is a /64": {
			fails(3, from("2001:db8:1:2::1")), fails(2, from("2001:db8:1:2:ffff::2")), locked(from("2001:db8:1:2:3:4:5:6"), time.Minute),
			free(from("2001:db8:1:3::1")), counts("alice", map[string]int{"*": 5, "2001:db8:1:2::/64": 5}),
		},
		"a mapped address is IPv4, and a zone is dropped": {
			fails(4, from("::ffff:203.0.113.9")), fails(1, from(home)), locked(from(home), time.Minute), locked(from("::ffff:203.0.113.9"), time.Minute),
			fails(4, from("fe80::1%eth0")), fails(1, from("fe80::1")), locked(from("fe80::2%eth1"), time.Minute),
		},
		"the name from everywhere": {
			crowd(50, from), locked(from(home), time.Minute), free(as("bob", home)), after(time.Minute), fails(1, from(home)), locked(from(cafe), 2*time.Minute),
		},
		"the longer of two waits, the name's": {
			fails(5, from(home)), after(30 * time.Second), crowd(45, from), locked(from(home), time.Minute), locked(from(cafe), time.Minute),
		},
		"the longer of two waits, the network's": {
			fails(5, from(home)), after(time.Minute), fails(1, from(home)), crowd(44, from), locked(from(home), 2*time.Minute), locked(from(cafe), time.Minute),
		},
		"the window begins with the last failure": {
			fails(4, from(home)), after(24*time.Hour - ms), fails(1, from(home)), locked(from(home), time.Minute),
		},
		"a counter is forgotten after the window": {
			fails(4, from(home)), after(24 * time.Hour), fails(1, from(home)), free(from(home)), counts("alice", map[string]int{"*": 1, home + "/32": 1}),
		},
		"a known device does not ask the locks that others cause": {
			crowd(50, from), locked(from(home), time.Minute), free(known(home, phone)), free(known("10.0.0.1", phone)),
			fails(1, known(home, phone)), counts("alice", merge(networks(50), map[string]int{"*": 50, phone.String(): 1})),
		},
		"a known device has a lock of its own": {
			fails(5, known(home, phone)), locked(known(home, phone), time.Minute), locked(known(cafe, phone), time.Minute),
			free(from(home)), free(known(home, uuid.UUID{3: 3})), after(time.Minute), fails(1, known(cafe, phone)), locked(known(home, phone), 2*time.Minute),
		},
		"a success resets the network, and what it had failed of the name": {
			fails(3, from(cafe)), fails(4, from(home)), signsIn(from(home)), counts("alice", map[string]int{"*": 3, cafe + "/32": 3}),
			fails(4, from(home)), free(from(home)), signsIn(from(home)), signsIn(from(cafe)), counts("alice", map[string]int{}),
		},
		"a success gives a distributed guesser nothing": {
			crowd(49, from), signsIn(from(home)), counts("alice", merge(networks(49), map[string]int{"*": 49})),
			fails(1, from(cafe)), locked(from(home), time.Minute),
		},
		"a success of a known device resets its own counter only": {
			fails(3, from(home)), fails(4, known(home, phone)), signsIn(known(home, phone)), counts("alice", map[string]int{"*": 3, home + "/32": 3}),
		},
		"what is past its window is not taken off by a success": {
			fails(4, from(home)), after(23 * time.Hour), fails(2, from(cafe)), after(time.Hour), signsIn(from(home)),
			counts("alice", map[string]int{"*": 6, cafe + "/32": 2}),
		},
		"counters survive a restart": {
			fails(5, from(home)), restart, locked(from(home), time.Minute), after(time.Minute), restart, fails(1, from(home)), locked(from(home), 2*time.Minute),
		},
		"an unknown name is counted like a known one": {
			fails(5, stranger("x", home)), locked(stranger("x", home), time.Minute), locked(as("x", home), time.Minute), free(stranger("x", cafe)),
			after(time.Minute), fails(1, stranger("x", home)), locked(stranger("x", home), 2*time.Minute),
			crowd(44, func(ip string) lockout.Attempt { return stranger("x", ip) }), locked(stranger("x", cafe), time.Minute),
		},
		"exempt networks": {
			fails(60, from("172.16.3.4")), fails(60, from("::ffff:172.16.3.4")), fails(60, from("fd00::1%eth0")), fails(9, known("172.16.3.4", phone)),
			signsIn(from("172.16.3.4")), counts("alice", map[string]int{}), fails(5, from(home)), crowd(45, from), free(from("172.16.3.4")), locked(from(cafe), time.Minute),
		},
		"a clock set back delays by the lock's own length, and Sweep lets it run": {
			fails(5, from(home)), after(-24 * 365 * time.Hour), locked(from(home), time.Minute), after(time.Minute), locked(from(home), time.Minute),
			sweep, locked(from(home), time.Minute), after(time.Minute), free(from(home)), fails(1, from(home)), locked(from(home), 2*time.Minute),
		},
		"a clock set forward and back again forgets nothing": {
			fails(3, from(home)), after(23 * time.Hour), after(-23 * time.Hour), fails(2, from(home)), locked(from(home), time.Minute),
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *lockout.Options) {
				o.Exempt = []netip.Prefix{netip.MustParsePrefix("::ffff:172.16.0.0/108"), netip.MustParsePrefix("fd00::/8")}
			})
			for _, s := range story {
				s(b)
			}
			if n := b.Gates(); n != 0 {
				t.Errorf("%d gates are kept after use", n)
			}
		})
	}
}

// networks is what crowd leaves.
func networks(n int) map[string]int {
	m := map[string]int{}
	for i := range n {
		m[fmt.Sprintf("10.0.%d.%d/32", i/256, i%256)] = 1
	}
	return m
}

func merge(a, b map[string]int) map[string]int {
	for k, v := range b {
		a[k] = v
	}
	return a
}

// A lock that was longer under an earlier configuration is cut to the longest of now.
func TestShorterMaxDelay(t *testing.T) {
	b := newBench(t, func(o *lockout.Options) { o.BaseDelay = time.Hour })
	fails(5, from(home))(b)
	b.opts.BaseDelay, b.opts.MaxDelay = time.Minute, 10*time.Minute
	b.restart()
	b.wantLocked(from(home), 10*time.Minute)
	b.clock.Advance(4 * time.Minute)
	b.wantLocked(from(home), 6*time.Minute)
}

// However much a counter has failed and however long the delays are, nothing overflows.
func TestDelaysDoNotOverflow(t *testing.T) {
	const longest = 200 * 365 * 24 * time.Hour
	b := newBench(t, func(o *lockout.Options) { o.Threshold, o.NameThreshold, o.MaxDelay = 1, math.MaxInt, longest })
	for _, failed := range []int{50, 61, 62, 63, 64, 65, 127, 128, 1 << 20, math.MaxInt32 - 1, math.MaxInt32} {
		value := fmt.Sprintf(`{"schema":1,"failures":%d,"last_failure":%q}`, failed, b.clock.Now().Format(time.RFC3339))
		dbtest.MustPut(t, b.store, "c/"+hash("alice")+"/n/"+home+"/32", value)
		b.fail(from(home))
		b.wantLocked(from(home), longest)
		if got, want := b.failures("alice")[home+"/32"], min(failed+1, math.MaxInt32); got != want {
			t.Errorf("%d failures and one more: got %d, want %d", failed, got, want)
		}
	}
}

// Options that were left out lock more, not less.
func TestZeroOptions(t *testing.T) {
	b := newBench(t, nil)
	b.opts = lockout.Options{Store: b.store, Now: b.clock.Now}
	b.restart()
	b.fail(stranger("x", home))
	b.wantLocked(stranger("x", cafe), ms)
}

func TestNetwork(t *testing.T) {
	for ip, want := range map[string]string{
		"203.0.113.9": "203.0.113.9/32", "::ffff:203.0.113.9": "203.0.113.9/32", "::ffff:203.0.113.9%eth0": "203.0.113.9/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "::1": "::/64", "0.0.0.0": "0.0.0.0/32",
	} {
		if got := lockout.Network(netip.MustParseAddr(ip)); got != want {
			t.Errorf("the network of %s: got %q, want %q", ip, got, want)
		}
	}
	if got := lockout.Network(netip.Addr{}); got != "" {
		t.Errorf("the network of no address: got %q, want none", got)
	}
}
