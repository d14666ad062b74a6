package token_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v2/jwk"
	"github.com/lestrrat-go/jwx/v2/jws"

	"devicegate/db"
	"devicegate/reason"
	"devicegate/token"
)

const hostName = "app.example"

// asserter returns one of a fixture, with room for assertions of any length.
func (f *fixture) asserter(tb testing.TB, cacheBytes int) *token.Asserter {
	tb.Helper()
	return must(token.NewAsserter(token.AssertionConfig{Issuer: issuerName, MaxBytes: 4096, CacheBytes: cacheBytes}, f.ring))(tb)
}

// at is the time so many seconds after the start.
func at(seconds int64) time.Time { return time.Unix(start+seconds, 0) }

func mustAssert(tb testing.TB, a *token.Asserter, s token.Subject, host string, now time.Time) string {
	tb.Helper()
	raw, why := a.Assert(s, host, now)
	if why != reason.OK || raw == "" {
		tb.Fatalf("Assert for %s = %q, %v", host, raw, why)
	}
	return raw
}

func TestAssertionSaysExactlyThis(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		s := subject()
		s.Username = `Zoë "<b>&` + "\u2028"
		raw := mustAssert(t, f.asserter(t, 0), s, hostName, at(0))
		parts := strings.Split(raw, ".")
		if diff := cmp.Diff(map[string]any{"alg": string(f.alg), "kid": f.kid, "typ": "assertion+jwt"}, decode(t, parts[0])); diff != "" {
			t.Errorf("header (-want +got):\n%s", diff)
		}
		want := map[string]any{
			"iss": issuerName, "sub": userID.String(), "aud": hostName, "iat": float64(start), "exp": float64(start + 60),
			"device_uid": deviceID.String(), "username": s.Username, "roles": []any{"staff", "dev"},
		}
		if diff := cmp.Diff(want, decode(t, parts[1])); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
		if _, err := jws.Verify([]byte(raw), jws.WithKeySet(must(jwk.Parse(f.ring.JWKS()))(t))); err != nil {
			t.Errorf("with the published keys: %v", err)
		}
	})
}

// What a name and roles take in an assertion is what they take in JSON, and not a byte more.
func TestAssertionEscapesNoMoreThanJSONMust(t *testing.T) {
	f := newFixture(t, defaultConfig())
	s := subject()
	s.Username, s.Roles = "<>&\u2028\u2029/'\u007f字\"\\", nil
	payload := strings.Split(mustAssert(t, f.asserter(t, 0), s, hostName, at(0)), ".")[1]
	plain := string(must(jws.Parse([]byte("e30." + payload + ".AA")))(t).Payload())
	for _, want := range []string{"\"<>&\u2028\u2029/'\u007f字\\\"\\\\\"", `"roles":[]}`} {
		if !strings.Contains(plain, want) {
			t.Errorf("%s does not hold %s", plain, want)
		}
	}
}

// An assertion is no access token, not even where the audience of access tokens is the name of its host.
func TestAssertionIsNoAccessToken(t *testing.T) {
	cfg := defaultConfig()
	cfg.Audience = hostName
	eachAlgorithm(t, cfg, func(t *testing.T, f *fixture) {
		if _, why := f.verifier.Verify(mustAssert(t, f.asserter(t, 0), subject(), hostName, at(0))); why != reason.TokenMalformed {
			t.Errorf("an assertion: %v, want %v: it lacks claims of an access token", why, reason.TokenMalformed)
		}
		header := strings.Replace(f.header(), "at+jwt", "assertion+jwt", 1)
		claims := honestClaims().With("aud", `"`+hostName+`"`)
		if _, why := f.verifier.Verify(f.sign(header, claims.String())); why != reason.TokenWrongType {
			t.Errorf("all claims under the type of an assertion: %v, want %v", why, reason.TokenWrongType)
		}
		if _, why := f.verifier.Verify(f.sign(f.header(), claims.String())); why != reason.OK {
			t.Errorf("the same as an access token: %v", why)
		}
	})
}

// TestAssertionIsMadeOnce: for one device, host and minute; and what differs in anything has another.
func TestAssertionIsMadeOnce(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		a := f.asserter(t, 0)
		first := mustAssert(t, a, subject(), hostName, at(0))
		for _, after := range []int64{0, 1, 49, 50} {
			if again := mustAssert(t, a, subject(), hostName, at(after)); again != first {
				t.Errorf("after %d s it is made anew", after)
			}
		}
		second := mustAssert(t, a, subject(), hostName, at(51))
		if second == first {
			t.Error("with 9 s of its life left it is handed out")
		}
		if back := mustAssert(t, a, subject(), hostName, at(50)); back == second || back == first {
			t.Error("after the clock was set back one of the future is handed out, or one that was replaced")
		}
	})
}

// TestAssertionIsMadeOnceForAllAtOnce: who wants the same at the same moment is handed the same, and it counts once
// among what is signed for the device. A signature of ES256 is another each time.
func TestAssertionIsMadeOnceForAllAtOnce(t *testing.T) {
	eachAlgorithm(t, defaultConfig(), func(t *testing.T, f *fixture) {
		for range 4 {
			a := f.asserter(t, 0)
			for host := range token.SignaturesPerDevice {
				handed := make([]string, 16)
				var all sync.WaitGroup
				for i := range handed {
					all.Go(func() { handed[i], _ = a.Assert(subject(), fmt.Sprintf("h%d.example", host), at(0)) })
				}
				all.Wait()
				if len(slices.Compact(handed)) > 1 || handed[0] == "" {
					t.Fatalf("for the host %d, 16 at once are handed %q", host, handed)
				}
			}
		}
	})
}

func TestAssertionIsOfExactlyThis(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	honest := subject()
	honest.Generation = 1
	second := int64(0)
	made := func(s token.Subject) map[string]any {
		t.Helper()
		second++
		return decode(t, strings.Split(mustAssert(t, a, s, hostName, at(second)), ".")[1])
	}
	for what, change := range map[string]func(s *token.Subject){
		"another user":       func(s *token.Subject) { s.User = uuid.New() },
		"another device":     func(s *token.Subject) { s.Device = uuid.New() },
		"another generation": func(s *token.Subject) { s.Generation = 2 },
		"another name":       func(s *token.Subject) { s.Username = "bob" },
		"one role less":      func(s *token.Subject) { s.Roles = s.Roles[:1] },
		"another role":       func(s *token.Subject) { s.Roles = []string{"staff", "admin"} },
		"no roles":           func(s *token.Subject) { s.Roles = nil },
	} {
		s := honest
		s.Roles = slices.Clone(honest.Roles)
		made(honest)
		change(&s)
		claims, roles := made(s), []any{}
		for _, role := range s.Roles {
			roles = append(roles, role)
		}
		if claims["iat"] != float64(start+second) || claims["sub"] != s.User.String() || claims["device_uid"] != s.Device.String() ||
			claims["username"] != s.Username || !cmp.Equal(claims["roles"], roles) {
			t.Errorf("%s is handed %v", what, claims)
		}
	}
	mine := honest
	mine.Roles = slices.Clone(honest.Roles)
	made(mine)
	mine.Roles[0] = "admin" // the caller's slice is the caller's
	if claims := made(mine); !cmp.Equal(claims["roles"], []any{"admin", "dev"}) {
		t.Errorf("after a change of the caller's roles he is handed %v", claims)
	}
	if other := mustAssert(t, a, honest, "other.example", at(1)); decode(t, strings.Split(other, ".")[1])["aud"] != "other.example" {
		t.Errorf("another host is handed %s", other)
	}
}

// TestServes: among what is kept by whatever key, nobody is handed another's.
func TestServes(t *testing.T) {
	other := subject()
	other.Device = uuid.New()
	if !token.Serves(subject(), subject()) || token.Serves(other, subject()) {
		t.Error("an assertion serves for another device, or not for its own")
	}
}

// TestAssertionOfARetiredKey: nothing that it signed is handed out, from the moment on at which another signs.
func TestAssertionOfARetiredKey(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	first := mustAssert(t, a, subject(), hostName, at(0))
	if _, err := f.ring.Rotate(t.Context(), at(0), token.RotateOptions{RetireOthers: true}); err != nil {
		t.Fatal(err)
	}
	second := mustAssert(t, a, subject(), hostName, at(0))
	if kid := decode(t, strings.Split(second, ".")[0])["kid"]; kid == f.kid || second == first {
		t.Errorf("after the rotation an assertion of the key %v is handed out", kid)
	}
	if _, err := jws.Verify([]byte(second), jws.WithKeySet(must(jwk.Parse(f.ring.JWKS()))(t))); err != nil {
		t.Errorf("with the published keys: %v", err)
	}
}

// TestAssertFailsClosed: where none can be made the reason refuses.
func TestAssertFailsClosed(t *testing.T) {
	f := newFixture(t, defaultConfig())
	refused := func(what string, a *token.Asserter, s token.Subject, host string) {
		t.Helper()
		if raw, why := a.Assert(s, host, at(0)); raw != "" || why != reason.KeysUnavailable {
			t.Errorf("%s: %q, %v, want %v", what, raw, why, reason.KeysUnavailable)
		}
		if signed, why := a.Foresee(s, host, at(0)); signed || why != reason.KeysUnavailable {
			t.Errorf("%s: Foresee = %v, %v, want %v", what, signed, why, reason.KeysUnavailable)
		}
	}
	fits := len(mustAssert(t, f.asserter(t, 0), subject(), hostName, at(0)))
	for limit, want := range map[int]reason.Reason{fits: reason.OK, fits - 1: reason.KeysUnavailable} {
		a := must(token.NewAsserter(token.AssertionConfig{Issuer: issuerName, MaxBytes: limit}, f.ring))(t)
		if signed, why := a.Foresee(subject(), hostName, at(0)); why != want || signed != (why == reason.OK) || a.AssertionDevices() != 0 {
			t.Errorf("of %d bytes where %d are allowed: Foresee = %v, %v, want %v; %d are kept", fits, limit, signed, why, want, a.AssertionDevices())
		}
		if _, why := a.Assert(subject(), hostName, at(0)); why != want {
			t.Errorf("of %d bytes where %d are allowed: %v, want %v", fits, limit, why, want)
		}
	}
	a := f.asserter(t, 0)
	for what, spoil := range map[string]func(*token.Subject){
		"no user": func(s *token.Subject) { s.User = uuid.Nil }, "no device": func(s *token.Subject) { s.Device = uuid.Nil },
		"no name": func(s *token.Subject) { s.Username = "" }, "a name that is not UTF-8": func(s *token.Subject) { s.Username = "\xff" },
	} {
		s := subject()
		spoil(&s)
		refused(what, a, s, hostName)
	}
	refused("no host", a, subject(), "")

	mustAssert(t, a, subject(), hostName, at(0))
	broken := db.Batch{Revision: f.ring.Revision() + 1, Writes: []db.Write{{Key: firstRecord, Value: []byte("{}")}}}
	if err := f.ring.Apply(broken); err == nil {
		t.Fatal("a broken key is taken")
	}
	refused("no keys, and an assertion that was made before", a, subject(), hostName)
}

func TestAsserterIsRefused(t *testing.T) {
	f := newFixture(t, defaultConfig())
	for _, cfg := range []token.AssertionConfig{{MaxBytes: 100}, {Issuer: issuerName}, {Issuer: issuerName, MaxBytes: 100, CacheBytes: -1}} {
		if _, err := token.NewAsserter(cfg, f.ring); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

// TestMadeUpHosts: a device that names ever new hosts has a bounded number of assertions, for which a bounded number
// is signed, and nobody else loses one.
func TestMadeUpHosts(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	var others []token.Subject
	var theirs []string
	for i := range 1000 {
		s := subject()
		s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i))
		others, theirs = append(others, s), append(theirs, mustAssert(t, a, s, hostName, at(0)))
	}
	next := 0
	made := func(hosts int, now time.Time) (n int) {
		for range hosts {
			next++
			raw, why := a.Assert(subject(), fmt.Sprintf("made-up-%d.example", next), now)
			if why != reason.OK {
				t.Fatalf("host %d: %v", next, why)
			}
			if raw != "" {
				n++
			}
		}
		return n
	}
	if n := made(token.SignaturesPerDevice-28, at(1)); n != token.SignaturesPerDevice-28 {
		t.Errorf("%d assertions are made for one device, want as many as hosts", n)
	}
	if n := made(10_000, at(59)); n != 28 {
		t.Errorf("within the minute %d more are made, want %d altogether", n, token.SignaturesPerDevice)
	}
	last := fmt.Sprintf("made-up-%d.example", token.SignaturesPerDevice)
	for host, want := range map[string]bool{last: true, "one-more.example": false} {
		if signed, why := a.Foresee(subject(), host, at(59)); signed != want || why != reason.OK {
			t.Errorf("for %s Foresee = %v, %v, want %v: what Assert comes to", host, signed, why, want)
		}
		if raw, why := a.Assert(subject(), host, at(59)); (raw != "") != want || why != reason.OK {
			t.Errorf("for %s Assert = %q, %v", host, raw, why)
		}
	}
	if kept, _ := a.AssertionsKept(deviceID); kept != token.HostsPerDevice {
		t.Errorf("%d are kept, want %d", kept, token.HostsPerDevice)
	}
	for i, s := range others {
		if mustAssert(t, a, s, hostName, at(2)) != theirs[i] {
			t.Fatalf("the device %d of another has lost its assertion", i)
		}
	}
	for _, c := range []struct {
		second int64
		what   string
		want   int
	}{
		{61, "in the next minute", token.SignaturesPerDevice},
		{62, "in the same", 0},
		{-100, "after the clock was set back", token.SignaturesPerDevice},
		{-99, "in the same minute", 0},
	} {
		if n := made(10_000, at(c.second)); n != c.want {
			t.Errorf("%s %d are made, want %d", c.what, n, c.want)
		}
	}
}

// TestHostsOfAClient: as many hosts as are kept can be gone round for as long as one likes.
func TestHostsOfAClient(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	for second := range int64(300) {
		for host := range token.HostsPerDevice {
			if raw, why := a.Assert(subject(), fmt.Sprintf("h%d.example", host), at(second)); raw == "" || why != reason.OK {
				t.Fatalf("after %d s the host %d has %q, %v", second, host, raw, why)
			}
		}
	}
}

// TestAssertionMemory: it is bounded whoever asks for what, and who asks for more than his share loses his own first.
func TestAssertionMemory(t *testing.T) {
	const room = token.AssertionShards * 40_000
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, room)
	ordinary := subject()
	ordinary.Device[15]++ // another part of the memory than that of who asks for much
	mustAssert(t, a, ordinary, hostName, at(0))
	neighbour := subject()
	neighbour.Device[0]++
	kept := mustAssert(t, a, neighbour, hostName, at(0))
	for i := range token.SignaturesPerDevice {
		mustAssert(t, a, subject(), strings.Repeat("x", 60)+fmt.Sprint(i)+".example", at(1))
	}
	if mustAssert(t, a, neighbour, hostName, at(1)) != kept { // of another second it would differ
		t.Error("a device with one host has lost it to one with many")
	}
	if n, _ := a.AssertionsKept(deviceID); n < token.FairHosts || n >= token.HostsPerDevice {
		t.Errorf("%d are kept of the device with many hosts, want %d to %d", n, token.FairHosts, token.HostsPerDevice-1)
	}
	var last token.Subject
	for i := range 20_000 {
		s := subject()
		s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i))
		mustAssert(t, a, s, hostName, at(1))
		if _, bytes := a.AssertionsKept(s.Device); bytes > room {
			t.Fatalf("after %d devices %d bytes are kept, over %d", i, bytes, room)
		}
		last = s
	}
	if mustAssert(t, a, last, hostName, at(1)) != mustAssert(t, a, last, hostName, at(2)) {
		t.Error("who comes when there is no room for more has nothing kept, so that it is made anew each time")
	}
	if a.AssertionDevices() < 1000 {
		t.Errorf("of %d devices there is anything", a.AssertionDevices())
	}
	one := f.asserter(t, 0)
	raw := mustAssert(t, one, ordinary, hostName, at(0))
	want := token.AssertionCost + len(raw+hostName+ordinary.Username) + len("staffdev") + 2*16 // a role is a pointer and a length
	if _, bytes := one.AssertionsKept(ordinary.Device); bytes != want {
		t.Errorf("an assertion is counted as %d bytes, want %d", bytes, want)
	}
	small := f.asserter(t, 1) // no room for any: each is made anew
	mustAssert(t, small, subject(), hostName, at(0))
	if n := small.AssertionDevices(); n != 0 {
		t.Errorf("%d devices are kept without room", n)
	}
}

// TestAssertionsKeepNoRequest: a host name is a piece of all headers of a request, and a name may be one of a token. They
// must not be kept with it.
func TestAssertionsKeepNoRequest(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	for i := range 200 {
		s := subject()
		s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i))
		request, claims := hostName+strings.Repeat("x", 256<<10), "alice"+strings.Repeat("x", 256<<10)
		s.Username = claims[:len("alice")]
		mustAssert(t, a, s, request[:len(hostName)], at(0))
	}
	if grown := int64(heap()) - int64(before); grown > 10<<20 {
		t.Errorf("200 assertions keep %d MiB", grown>>20)
	}
	runtime.KeepAlive(a)
}

// TestAssertionsThatAreOver leave nothing behind, but for what no later one has pushed out.
func TestAssertionsThatAreOver(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, 0)
	for minute := range int64(5) {
		for i := range 2000 {
			s := subject()
			s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, minute, i))
			mustAssert(t, a, s, hostName, at(minute*60))
		}
	}
	if n := a.AssertionDevices(); n > 2000+token.AssertionShards {
		t.Errorf("of %d devices there is anything, want those of the last minute", n)
	}
	for i := range 2000 { // after the clock was set back those of the future serve nobody
		s := subject()
		s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, "back", i))
		mustAssert(t, a, s, hostName, at(-600))
	}
	if n := a.AssertionDevices(); n != 2000 {
		t.Errorf("after the clock was set back of %d devices there is anything, want 2000", n)
	}
}

// TestAssertionsAtOnce: everybody gets his own whatever goes on beside it.
func TestAssertionsAtOnce(t *testing.T) {
	f := newFixture(t, defaultConfig())
	a := f.asserter(t, token.AssertionShards*4000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var rotating, asking sync.WaitGroup
	rotating.Go(func() {
		for ctx.Err() == nil {
			if _, err := f.ring.Rotate(context.WithoutCancel(ctx), at(0), token.RotateOptions{RetireOthers: true}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for worker := range 8 {
		asking.Go(func() {
			s := subject()
			for i := range 300 {
				s.Device = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i%20))
				s.Username = fmt.Sprintf("worker %d", worker%2)
				raw, why := a.Assert(s, hostName, at(int64(i%70)))
				if why != reason.OK || raw != "" && !strings.Contains(raw, ".") {
					t.Errorf("%q, %v", raw, why)
					return
				}
				if raw == "" {
					continue
				}
				payload := must(jws.Parse([]byte(raw)))(t).Payload()
				if !strings.Contains(string(payload), s.Username) || !strings.Contains(string(payload), s.Device.String()) {
					t.Errorf("%s of %s is handed %s", s.Username, s.Device, payload)
				}
			}
		})
	}
	asking.Wait()
	cancel()
	rotating.Wait()
}

func BenchmarkAssertHit(b *testing.B) {
	f := newFixture(b, defaultConfig())
	a, s := f.asserter(b, 0), subject()
	b.ReportAllocs()
	for b.Loop() {
		mustAssert(b, a, s, hostName, at(0))
	}
}

func BenchmarkAssertMiss(b *testing.B) {
	f := newFixture(b, defaultConfig())
	a, s := f.asserter(b, 1), subject()
	b.ReportAllocs()
	for b.Loop() {
		mustAssert(b, a, s, hostName, at(0))
	}
}
