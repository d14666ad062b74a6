package e2e_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// defaultPolicy is the line of an example's configuration that every route without a policy goes by.
var defaultPolicy = regexp.MustCompile(`(?m)^  default: .*$`)

// demand has the running gate go by another default policy, as an operator does: the file is changed, and SIGHUP.
func (g *gate) demand(t *testing.T, policy string) {
	t.Helper()
	before, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	if !defaultPolicy.Match(before) {
		t.Fatalf("there is no default policy in the example:\n%s", before)
	}
	reloaded := func() int { return len(g.log.grep("configuration reloaded")) }
	count := reloaded()
	if err := os.WriteFile(g.config, defaultPolicy.ReplaceAll(before, []byte("  default: "+policy)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := g.process.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if !eventually(patience, func() bool { return reloaded() > count }) {
		t.Fatalf("the gate did not reload %s:\n%s", policy, g.log)
	}
}

// policyCase is a request under a policy.
type policyCase struct {
	policy string
	cases  []testCase
}

// spoofed is what a client says who would like to be somebody.
var spoofed = []string{"Remote-User: evil", "Remote-Groups: staff,admin", "Remote-Device: evil"}

func policyCases() []policyCase {
	with := func(more ...string) []string { return append(append([]string{}, spoofed...), more...) }
	allowed := func(reason string) outcome { return outcome{http.StatusOK, reason, true} }
	forbidden := func(reason string) outcome { return outcome{http.StatusForbidden, reason, false} }
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: PUT"}
	return []policyCase{
		{"{anonymous: allow}", []testCase{
			{title: "nobody passes as nobody", headers: with(), want: everywhere(allowed("anonymous")), check: seesNobody},
			{title: "another scheme passes as nobody", headers: with("Authorization: Basic dXNlcjpwYXNz"), want: everywhere(allowed("anonymous")), check: seesNobody},
			{title: "somebody passes as himself", headers: with(asAlice), want: everywhere(passes()), check: seesAlice},
			{title: "a bad token is refused", headers: with("Authorization: Bearer x.y.z"), want: everywhere(refused("token_malformed"))},
		}},
		{"{cors_preflight: allow}", []testCase{
			{title: "a preflight passes as nobody", line: "OPTIONS /{id}", headers: with(preflight...), want: everywhere(allowed("cors_preflight")), check: seesNobody},
			{title: "OPTIONS alone does not", line: "OPTIONS /{id}", headers: with(), want: everywhere(refused("no_token"))},
			{title: "GET with its headers does not", headers: with(preflight...), want: everywhere(refused("no_token"))},
			{title: "GET that says to be OPTIONS does not", headers: with(append(preflight, "X-Forwarded-Method: OPTIONS", "X-Original-Method: OPTIONS", "X-HTTP-Method-Override: OPTIONS")...), want: everywhere(refused("no_token"))},
		}},
		{"{mode: report, require_roles: [staff]}", []testCase{
			{title: "nobody passes", headers: with(), want: everywhere(allowed("report")), check: seesNobody},
			{title: "a role is missing and nobody is told", headers: with(asAlice), want: everywhere(allowed("report")), check: seesNobody},
			{title: "who would pass is not named either", headers: with("Authorization: Bearer {bob}"), want: everywhere(allowed("report")), check: seesNobody},
			{title: "an expired token passes", headers: with("Authorization: Bearer x.y.z"), want: everywhere(allowed("report")), check: seesNobody},
		}},
		{"{allowed_networks: [198.51.100.0/24]}", []testCase{
			{title: "another network", headers: with(asAlice), want: everywhere(forbidden("network_not_allowed"))},
			{title: "a network that the client claims", headers: with(asAlice, "X-Forwarded-For: 198.51.100.7", "X-Real-Ip: 198.51.100.7", "Forwarded: for=198.51.100.7"),
				want: everywhere(forbidden("network_not_allowed"))},
		}},
		{"{allowed_networks: [" + clientIP + "]}", []testCase{
			{title: "the client's network", headers: with(asAlice), want: everywhere(passes()), check: seesAlice},
		}},
		{"{require_all_roles: [editors, staff]}", []testCase{
			{title: "one of two roles", headers: with(asAlice), want: everywhere(forbidden("role_missing"))},
		}},
		{"{min_device_age: 1d}", []testCase{
			{title: "a device of today", headers: with(asAlice), want: everywhere(forbidden("device_too_new"))},
		}},
		{"{max_device_age: 1d}", []testCase{
			{title: "a device of today", headers: with(asAlice), want: everywhere(passes()), check: seesAlice},
		}},
		{"{authorization: remove}", []testCase{
			{title: "the token is kept from the backend", headers: with(asAlice), want: only(passes(), envoys...), check: seesNoToken},
		}},
	}
}

// TestPolicies runs what policies demand, and what they let pass, through every proxy.
func TestPolicies(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := startBench(t, p)
			for _, under := range append(policyCases(), removalCases()...) {
				b.gate.demand(t, under.policy)
				for _, c := range under.cases {
					if _, mine := c.want[p.name]; mine {
						t.Run(strings.Trim(under.policy, "{}")+", "+c.title, func(t *testing.T) { c.run(t, b) })
					}
				}
			}
		})
	}
}
