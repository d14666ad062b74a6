package probe

import (
	"context"
	"net/http"
	"net/netip"
)

// Doors for the tests.
var (
	Fold  = fold
	Below = below
)

// Compare is what is wrong with the headers that arrived, for the identity header name: the code, and what was seen.
func Compare(name, want string, headers ...string) (code, saw string) {
	v := compare(name, want, arrival{headers: headers})
	return v.code, v.saw
}

// KindOf is the kind of proxy, from a header Server and counters in Prometheus' text form, before and after.
func KindOf(server string, adapters ...string) string {
	c := counts{}
	for _, a := range adapters {
		c[counter{a, "allow", "ok"}] = 1
	}
	return kindOf(server, c)
}

// SignIn makes the account of a run and signs in.
func SignIn(ctx context.Context, g Gate, from netip.Addr) error {
	_, err := g.open(ctx, nil, from)
	return err
}

// ToldTo is what a finding says of an answer that shows the client one header; "" for no finding.
func ToldTo(i Identity, name, value string) string {
	r := &run{Via: Via{Identity: i}, account: &account{Name: "doctor-1", Device: "uid-1"}}
	for _, v := range r.tellsNobody(exchange{response: response{header: http.Header{name: {value}}}}) {
		return v.code + ": " + v.saw
	}
	return ""
}

// Counted is the reason of the one refusal between two readings of the counters.
func (g Gate) Counted(ctx context.Context, between func()) string {
	before := g.checks(ctx)
	between()
	return g.checks(ctx).since(before).refusal()
}

// Tables are all probes with their codes, as a run with everything on would send them, and those of them with a
// request that HTTP/2 can say.
func Tables(v Via) (codes map[string]bool, probes int) {
	r := &run{Via: v, path: "/staff", open: "/open/", http2: true, backend: &Backend{}, account: &account{Name: "doctor", Token: "a.bc.de", Device: "uid"}, passed: 200}
	all := r.inBoth(append(r.tokenProbes(), r.requestProbes()...))
	all = append(all, r.inBoth(append(r.openProbes(), r.pathProbes()...))...)
	all = append(all, r.inBoth(append(r.identityProbes(), r.roleProbes()...))...)
	all = append(all, r.inBoth(append(r.rolelessProbes(), r.endedProbes("ended")...))...)
	codes = map[string]bool{}
	for _, p := range append(all, r.goodProbe(), r.nobodyProbe()) {
		codes[p.code] = true
	}
	return codes, len(all)
}

// Faults are the codes that are explained.
func Faults() map[string][]string {
	all := map[string][]string{}
	for code, f := range faults {
		all[code] = append(all[code], f.problem, f.fix)
		for kind, fix := range f.by {
			all[code] = append(all[code], kind+": "+fix)
		}
	}
	return all
}

// Exchange sends one request over HTTP/1.1 or HTTP/2 and returns status and headers.
func Exchange(v Via, h2 bool, q Request) (int, http.Header, error) {
	r, err := v.start()
	if err != nil {
		return 0, nil, err
	}
	p := r.complete(probe{request: request{method: q.Method, target: q.Target, lines: q.Lines, body: q.Body, h2: h2}})
	got, err := r.exchange(context.Background(), p.request)
	return got.status, got.header, err
}

// Request is the part of a request that tests choose.
type Request struct {
	Method, Target, Body string
	Lines                []string
}

// Mark is a mark that the backend answers to.
func (b *Backend) Mark() string {
	mark := newMark()
	b.expect(mark)
	return mark
}

// Seen are the heads that arrived with a mark, line by line.
func (b *Backend) Seen(mark string) (all [][]string) {
	for _, a := range b.arrivals(mark) {
		all = append(all, append([]string{a.line}, a.headers...))
	}
	return all
}
