package authztest

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"devicegate/authz"
	"devicegate/clientaddr"
	"devicegate/db"
	"devicegate/device"
	"devicegate/journal"
	"devicegate/reason"
	"devicegate/token"
)

var noGuard = db.Txn{}

// Networks of peers. Tests ask from loopback.
var (
	Loopback  = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	Elsewhere = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
)

// Setup is what one gate is like. The zero Setup is ready and answers loopback.
type Setup struct {
	Peers []netip.Prefix // nil means Loopback
	// Forced, where HasForced, is what the index answers when it is asked for its state.
	Forced    reason.Reason
	HasForced bool
	Sample    int           // of allowed checks in the log; 0 means 1
	Later     time.Duration // when it is asked, after the world was made

	Assertions bool // it makes assertions
	Unsigned   bool // and cannot
}

// Gate is an authorizer with its log and metrics.
type Gate struct {
	*authz.Authorizer
	Log      *Log
	Registry *prometheus.Registry

	inspector authz.Inspector
	foreseer  authz.Foreseer
	explains  bool // each request, before it is decided
	mu        sync.Mutex
	explained []explained
}

// explained is what was said before a decision, and the decision.
type explained struct {
	said authz.Explanation
	done authz.Decision
}

// Decide implements what the adapters ask.
func (g *Gate) Decide(ctx context.Context, req authz.Request) authz.Decision {
	if !g.explains {
		return g.Authorizer.Decide(ctx, req)
	}
	e := explained{said: g.Explain(req)}
	e.done = g.Authorizer.Decide(ctx, req)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.explained = append(g.explained, e)
	return e.done
}

// Explain says what Decide would answer.
func (g *Gate) Explain(req authz.Request) authz.Explanation {
	return g.Authorizer.Explain(req, g.inspector, g.foreseer)
}

// Gate returns a gate of the world.
func (w *World) Gate(s Setup) *Gate {
	if s.Peers == nil {
		s.Peers = Loopback
	}
	devices := forced{Index: w.index, state: s.Forced, is: s.HasForced}
	g := &Gate{Log: &Log{}, Registry: prometheus.NewRegistry(), inspector: w.verifier, foreseer: devices}
	log := zerolog.New(g.Log).Level(zerolog.TraceLevel).With().Timestamp().Logger()
	config := authz.Config{
		AllowedPeers: s.Peers,
		Trusted:      clientaddr.Trusted(Loopback),
		Policies:     policies,
		Headers:      authz.HeaderNames{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device"},
		Country:      countryOf,
	}
	w.asserting(&config, s)
	g.Authorizer = authz.New(config, w.verifier, devices, journal.New(log, s.Sample, g.Registry), func() time.Time { return now.Add(s.Later) })
	return g
}

// asserting has the gate make assertions where the setup says so.
func (w *World) asserting(config *authz.Config, s Setup) {
	if !s.Assertions {
		return
	}
	longest := maxWithAnAssertion
	if s.Unsigned {
		longest = 1
	}
	asserter, err := token.NewAsserter(token.AssertionConfig{Issuer: "devicegate", MaxBytes: longest}, w.keys)
	if err != nil {
		panic(err)
	}
	config.Headers.Assertion, config.Assertions = assertionHeader, asserter
}

// policies are those of every gate. Each has one demand, so that a row says which one it is about.
var policies = map[string]authz.Policy{
	"default":    {},
	"staff":      {RequireRoles: []string{"admin", "staff"}},
	"both-roles": {RequireAllRoles: []string{"team.blue", "staff"}},
	"all-roles":  {RequireAllRoles: []string{"staff", "admin"}},
	"settled":    {MinDeviceAge: 5 * time.Minute},
	"fresh":      {MaxDeviceAge: 5 * time.Minute},
	"inside":     {AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
	"at-home":    {RequireCountry: []string{"AT", "CH"}},
	"not-there":  {DenyCountry: []string{"DE"}},
	"public":     {Anonymous: true, DenyCountry: []string{"DE"}},
	"preflight":  {CORSPreflight: true, AllowedNetworks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}},
	"stripped":   {RemoveAuthorization: true, Anonymous: true},
	"trial":      {Report: true, RequireRoles: []string{"staff"}, RemoveAuthorization: true},
}

// countryOf is where the addresses of the rows are.
func countryOf(addr netip.Addr) string {
	return map[string]string{"203.0.113.9": "AT", "198.51.100.9": "DE"}[addr.String()]
}

// Authorizer returns an authorizer of the world with a configuration of the test's own, which records
// nothing.
func (w *World) Authorizer(config authz.Config) *authz.Authorizer {
	return authz.New(config, w.verifier, w.index, journal.New(zerolog.Nop(), 1, prometheus.NewRegistry()), clock)
}

// forced is the index, but for a state that a test wants to see.
type forced struct {
	*device.Index
	state reason.Reason
	is    bool
}

func (f forced) State() reason.Reason {
	if f.is {
		return f.state
	}
	return f.Index.State()
}

var (
	_ authz.Devices  = forced{}
	_ authz.Foreseer = forced{}
)

// Check is the index's own.
func (f forced) Check(use device.Use) (device.Subject, reason.Reason) { return f.Index.Check(use) }

// Counted returns every series of devicegate_checks_total that is not zero, as adapter outcome reason.
func (g *Gate) Counted(tb testing.TB) map[string]float64 {
	tb.Helper()
	return g.counted(tb, "devicegate_checks_total")
}

// counted returns every series of a counter that is not zero, by the values of its labels.
func (g *Gate) counted(tb testing.TB, name string) map[string]float64 {
	tb.Helper()
	families, err := g.Registry.Gather()
	must(tb, err)
	counted := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			words := make([]string, 0, 3)
			for _, l := range m.GetLabel() { // sorted by name
				words = append(words, l.GetValue())
			}
			if v := m.GetCounter().GetValue(); v != 0 {
				counted[strings.Join(words, " ")] = v
			}
		}
	}
	return counted
}

// Log takes what is logged. It is safe for concurrent use.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write takes one line.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns everything logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Lines returns the lines logged so far, each of which must be one JSON object.
func (l *Log) Lines(tb testing.TB) []map[string]any {
	tb.Helper()
	var lines []map[string]any
	for line := range strings.Lines(l.String()) {
		var members map[string]any
		if err := json.Unmarshal([]byte(line), &members); err != nil {
			tb.Fatalf("the log line %q is not JSON: %v", line, err)
		}
		lines = append(lines, members)
	}
	return lines
}
