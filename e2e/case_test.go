package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// bench is one proxy with its example's files, the gate behind it, and the users of the cases.
type bench struct {
	product
	addr    string // of the proxy
	gate    *gate
	relay   *relay // between proxy and gate
	backend *backend

	alice session           // role editors
	carol session           // no roles
	bob   session           // role staff
	odd   map[string]string // tokens of alice's that are not good, by what is wrong with them

	next int // the number of the next request
}

// testCase is one row of the table.
type testCase struct {
	number int
	title  string

	// What is sent through the proxy. In line and headers {id} becomes a word that nothing else
	// contains, {alice}, {bob} and {carol} an access token. Host is added where no line sets it.
	line    string // GET /{id} by default
	headers []string
	body    string

	// send is for the cases that need more than one request through the proxy; it returns the
	// last one's outcome.
	send func(t *testing.T, b *bench, id string) exchange

	// fault is what is wrong with the gate meanwhile.
	fault fault

	// want says what comes out, for each proxy that the case is about.
	want answers

	// check looks at what the outcome alone does not show.
	check func(t *testing.T, b *bench, x exchange)
}

// outcome is what came of a request.
type outcome struct {
	status  int    // that the client saw
	reason  string // that the gate gave; empty where it was not asked, or did not answer
	reached bool   // the backend
}

// answers maps names of products to outcomes.
type answers map[string]outcome

// exchange is everything that is known of a request.
type exchange struct {
	id string
	response
	seen     []seenRequest // by the backend
	decision *decision     // nil where the gate did not decide
	asked    string        // what the proxy sent to the gate, the first part of it
	askedLen int
}

func passes() outcome { return outcome{200, "ok", true} }
func isOpen() outcome { return outcome{200, "", true} }
func refused(reason string) outcome {
	status := http.StatusUnauthorized
	switch reason {
	case "role_missing", "request_incomplete", "peer_not_allowed", "policy_unknown":
		status = http.StatusForbidden
	}
	return outcome{status, reason, false}
}

// byProxy is the answer of a proxy that does not get as far as the gate's answer.
func byProxy(status int) outcome { return outcome{status, "", false} }

// everywhere expects one outcome through all six.
func everywhere(o outcome) answers {
	return answers{"traefik": o, "nginx": o, "envoy_http": o, "envoy_grpc": o, "caddy": o, "haproxy": o}
}

// except expects another outcome of some.
func (a answers) except(o outcome, names ...string) answers {
	for _, name := range names {
		a[name] = o
	}
	return a
}

// only expects an outcome of some products and says nothing about the others.
func only(o outcome, names ...string) answers { return answers{}.except(o, names...) }

var envoys = []string{"envoy_http", "envoy_grpc"}

// startBench starts everything for one product.
func startBench(t *testing.T, p product) *bench {
	t.Helper()
	needProgram(t, p.program)
	dir := gateDir(t)
	b := &bench{product: p, backend: startBackend(t)}
	b.odd = oddTokens(t, dir, p.example)
	b.gate = startGate(t, dir, p.example)
	b.relay = startRelay(t, b.gate.checks(p))
	b.addr = startProxy(t, p, b.backend.addr, b.relay.addr, b.gate.address["api"])
	b.gate.addUser(t, "bob", "staff")
	b.gate.addUser(t, "carol")
	b.alice, b.bob, b.carol = b.gate.signIn(t, "alice"), b.gate.signIn(t, "bob"), b.gate.signIn(t, "carol")
	return b
}

// changed returns the bench with another proxy of the same product, in whose files the texts are
// replaced.
func (b *bench) changed(t *testing.T, changes ...literal) *bench {
	t.Helper()
	other := *b
	other.addr = startProxy(t, b.product, b.backend.addr, b.relay.addr, b.gate.address["api"], changes...)
	return &other
}

// checks returns the address that the product asks.
func (g *gate) checks(p product) string {
	if p.grpc {
		return g.address["checks.grpc"]
	}
	return g.address["checks.http"]
}

// id returns a word for one request.
func (b *bench) id() string {
	b.next++
	return fmt.Sprintf("id%dx", b.next)
}

// fill replaces the names in braces.
func (b *bench) fill(text, id string) string {
	return strings.NewReplacer("{id}", id, "{alice}", b.alice.Access, "{bob}", b.bob.Access,
		"{carol}", b.carol.Access).Replace(text)
}

// raw is the case's request, byte by byte.
func (c testCase) raw(b *bench, id string) string {
	line := c.line
	if line == "" {
		line = "GET /{id}"
	}
	lines := []string{line + " HTTP/1.1"}
	if !slices.ContainsFunc(c.headers, func(h string) bool { return strings.HasPrefix(h, "Host:") }) {
		lines = append(lines, "Host: app.example")
	}
	for _, h := range c.headers {
		lines = append(lines, b.rename(h))
	}
	return b.fill(strings.Join(lines, "\r\n"), id) + "\r\n\r\n" + c.body
}

// exchange sends one request through the proxy and gathers what came of it.
func (b *bench) exchange(t *testing.T, raw, id string) exchange {
	t.Helper()
	return b.exchangeFrom(t, clientIP, raw, id)
}

func (b *bench) exchangeFrom(t *testing.T, from, raw, id string) exchange {
	t.Helper()
	before := b.backend.count()
	b.relay.forget()
	x := exchange{id: id, response: sendRaw(t, from, b.addr, raw, 2*patience)}
	x.seen = b.backend.since(before)
	x.asked, x.askedLen = b.relay.asked()
	b.renameBack(&x)
	return x
}

// run plays one case and compares.
func (c testCase) run(t *testing.T, b *bench) exchange {
	t.Helper()
	id := b.id()
	want := c.want[b.name]
	if c.fault != healthy {
		b.relay.set(c.fault)
		defer b.wait(t)
	}
	var x exchange
	if c.send != nil {
		x = c.send(t, b, id)
	} else {
		x = b.exchange(t, c.raw(b, id), id)
	}
	got := outcome{status: x.status, reached: len(x.seen) > 0}
	if want.reason != "" && x.decision == nil {
		d := b.gate.waitDecision(t, id)
		x.decision = &d
	}
	if x.decision != nil {
		got.reason = x.decision.Reason
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("(-want +got)\n%s\nresponse: %+v\nseen by the backend: %+v\ndecision: %+v", diff, x.response, x.seen, x.decision)
	}
	checkResponse(t, b, want, x)
	if c.check != nil && !t.Failed() {
		c.check(t, b, x)
	}
	return x
}

// wait waits until the gate is reached again, so that the next case starts on firm ground.
func (b *bench) wait(t *testing.T) {
	b.relay.set(healthy)
	good := testCase{line: "GET /recovered", headers: []string{"Authorization: Bearer {alice}"}}
	if !eventually(patience, func() bool {
		return b.exchange(t, good.raw(b, ""), "").status == http.StatusOK
	}) {
		t.Fatal("the proxy does not reach the gate again after a fault")
	}
}

var identityHeader = regexp.MustCompile(`(?i)^(x-)?remote[^a-z0-9]*(user|groups|device)$`)

// checkResponse holds for every case: a refusal names its reason, a 401 its scheme, and no response
// says who the user is.
func checkResponse(t *testing.T, b *bench, want outcome, x exchange) {
	t.Helper()
	for name := range x.header {
		if identityHeader.MatchString(name) {
			t.Errorf("the client was shown %s: %q", name, x.header[name])
		}
	}
	if x.decision != nil && x.decision.Adapter != b.name {
		t.Errorf("the gate says that %s asked", x.decision.Adapter)
	}
	if want.reason == "" || want.reason == "ok" || want.reached {
		return
	}
	if got := x.header.Values("X-Auth-Reason"); len(got) != 1 || got[0] != want.reason {
		t.Errorf("X-Auth-Reason = %q, want %s", got, want.reason)
	}
	if want.status == http.StatusUnauthorized {
		if got := x.header.Values("WWW-Authenticate"); len(got) != 1 || !strings.HasPrefix(got[0], "Bearer realm=") {
			t.Errorf("WWW-Authenticate = %q, want one challenge of the scheme Bearer", got)
		}
	}
}

// seesOnly checks that the backend was told who asks by exactly the gate's headers: each once, and
// nothing beside them that a backend may take for one of them.
func seesOnly(t *testing.T, x exchange, user, device, groups string) {
	t.Helper()
	if len(x.seen) != 1 {
		t.Fatalf("the backend saw %d requests, want 1", len(x.seen))
	}
	want := map[string][]string{}
	for name, value := range map[string]string{"remote-user": user, "remote-device": device, "remote-groups": groups} {
		if value != "" {
			want[name] = []string{value}
		}
	}
	if diff := cmp.Diff(want, identityOf(x.seen[0])); diff != "" {
		t.Errorf("identity at the backend (-want +got)\n%s", diff)
	}
}

// identityOf returns every header that a backend may read as an identity header.
func identityOf(r seenRequest) map[string][]string {
	got := map[string][]string{}
	for _, h := range r.headers {
		name, value, _ := strings.Cut(h, ":")
		if identityHeader.MatchString(name) {
			name = strings.ToLower(name)
			got[name] = append(got[name], strings.TrimSpace(value))
		}
	}
	return got
}

// seesAlice is the check of most cases that pass.
func seesAlice(t *testing.T, b *bench, x exchange) {
	t.Helper()
	seesOnly(t, x, "alice", b.alice.Device, "editors")
}

// seesNobody: an open route identifies nobody.
func seesNobody(t *testing.T, _ *bench, x exchange) {
	t.Helper()
	seesOnly(t, x, "", "", "")
}
