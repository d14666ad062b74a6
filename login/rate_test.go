package login_test

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"devicegate/login"
)

// throttled is noLimit with a rate of 3 a minute.
func throttled() login.Config {
	c := noLimit
	c.SignInRate = login.Rate{Count: 3, Per: time.Minute}
	return c
}

// tryFrom tries to sign in from an address.
func (g *gate) tryFrom(t *testing.T, name, password, ip string) (login.Session, error) {
	t.Helper()
	return g.SignIn(t.Context(), login.SignIn{Name: name, Password: password, Client: login.Client{IP: netip.MustParseAddr(ip), UserAgent: "test/1"}})
}

// wantWait checks that err asks to wait for at most the given time, and returns the wait.
func wantWait(t *testing.T, err error, why string, most time.Duration) time.Duration {
	t.Helper()
	var wait *login.WaitError
	if !errors.As(err, &wait) || wait.Reason != why || wait.RetryAfter <= 0 || wait.RetryAfter > most {
		t.Fatalf("error = %v, want %s for at most %v", err, why, most)
	}
	return wait.RetryAfter
}

// A network has its attempts, right or wrong; then it waits, no hash is computed, and waiting as long as it was
// told is enough. A retry in between costs nothing more.
func TestSignInRate(t *testing.T) {
	g := newGate(t, throttled())
	u := g.user(t, "alice")
	for i, password := range []string{secret, "wrong", secret} {
		if _, err := g.tryFrom(t, "alice", password, "192.0.2.7"); (err == nil) != (password == secret) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	_, computed, _ := g.hasher.Calls()
	var wait time.Duration
	for range 5 {
		_, err := g.tryFrom(t, "alice", secret, "192.0.2.7")
		wait = wantWait(t, err, login.Throttled, 20*time.Second)
	}
	if _, after, _ := g.hasher.Calls(); after != computed {
		t.Errorf("%d hashes were computed for throttled attempts", after-computed)
	}
	if last := g.journal.attempts[len(g.journal.attempts)-1]; last.Reason != login.Throttled || last.User != u.ID {
		t.Errorf("recorded %+v", last)
	}
	g.clock.Advance(wait)
	if _, err := g.tryFrom(t, "alice", secret, "192.0.2.7"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// What a network is: one IPv4 address, or a /64.
func TestSignInRateNetworks(t *testing.T) {
	g := newGate(t, throttled())
	g.user(t, "alice")
	use := func(ip string) error { _, err := g.tryFrom(t, "alice", secret, ip); return err }
	for i := range 3 {
		for _, ip := range []string{"192.0.2.7", fmt.Sprintf("2001:db8::%d", i+1)} {
			if err := use(ip); err != nil {
				t.Fatalf("%s: %v", ip, err)
			}
		}
	}
	for ip, waits := range map[string]bool{
		"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.2.8": false, "2001:db8::9": true, "2001:db8:0:1::9": false,
	} {
		var wait *login.WaitError
		if err := use(ip); errors.As(err, &wait) != waits {
			t.Errorf("%s: %v, waits should be %v", ip, err, waits)
		}
	}
}

// Networks without number neither free those that wait nor take more memory than the list may.
func TestRateUnderAFloodOfNetworks(t *testing.T) {
	const flood, mostBytes = 100_000, 48 << 20
	c := newClock()
	rates := login.NewRates(login.Rate{Count: 3, Per: time.Minute}, c.Now)
	network := func(n int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, byte(n >> 16), byte(n >> 8), byte(n)})
	}
	waits := func(ip netip.Addr) bool { return rates.Take(ip) > 0 }
	var limited []netip.Addr
	for i := range 100 {
		ip := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
		for attempt := range 4 {
			if waits(ip) != (attempt == 3) {
				t.Fatalf("attempt %d from %v", attempt, ip)
			}
		}
		limited = append(limited, ip)
	}
	before := heap()
	for n := range flood {
		if waits(network(n)) {
			t.Fatalf("network %d has to wait at its first attempt", n)
		}
	}
	if grown := heap() - before; grown > mostBytes {
		t.Errorf("the list grew by %d bytes, at most %d", grown, mostBytes)
	}
	if n, most := rates.Len(); n > most {
		t.Errorf("%d networks are remembered, at most %d", n, most)
	}
	for _, ip := range limited {
		if !waits(ip) {
			t.Fatalf("the flood has freed %v", ip)
		}
	}
	for n := range 20_000 { // networks that are told to wait are bounded as well
		for range 4 {
			rates.Take(network(n))
		}
	}
	if n, most := rates.Len(); n > most {
		t.Errorf("%d networks are remembered, at most %d", n, most)
	}
	c.Advance(time.Minute)
	for _, ip := range limited {
		if waits(ip) {
			t.Errorf("%v has to wait after its time", ip)
		}
	}
	runtime.KeepAlive(rates)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
