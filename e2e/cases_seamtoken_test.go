package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// policyChange gives the route / another policy.
func policyChange(policy string) map[string][]literal {
	return map[string][]literal{
		"nginx":      {{"devicegate.conf", "nginx?policy=default", "nginx?policy=" + policy}},
		"traefik":    {{"dynamic.yaml", "policy=default", "policy=" + policy}},
		"envoy_http": {{"envoy_http.yaml", "/auth/envoy/default", "/auth/envoy/" + policy}},
		"envoy_grpc": {{"envoy_grpc.yaml", "{policy: default}", "{policy: " + policy + "}"}},
		"caddy":      {{"Caddyfile", "import check default", "import check " + policy}},
		"haproxy":    {{"haproxy.cfg", "haproxy?policy=default", "haproxy?policy=" + policy}},
	}
}

// merged returns the changes of both.
func merged(a, b map[string][]literal) map[string][]literal {
	both := maps.Clone(a)
	for name, changes := range b {
		both[name] = append(slices.Clone(changes), both[name]...)
	}
	return both
}

func seamTokenRows() []seamRow {
	plain := testCase{headers: []string{asAlice}}
	return slices.Concat(
		rows("3", testCase{title: "a good token of a device that the gate has never seen", want: everywhere(refused("device_not_recognized")),
			send: func(t *testing.T, b *bench, id string) exchange { return b.as(t, b.odd["unseen"], id) }}),
		rows("25", testCase{title: "asked directly: no header is both set and removed", want: only(byProxy(200), "envoy_grpc"), send: neverBoth}),
		rows("28", testCase{title: "the token is kept from the backend", want: everywhere(passes()), check: seesNoToken,
			send: with(plain, merged(policyChange("stripped"), tokenLines))}),
		rows("74", testCase{title: "two users at the same time, each is told apart", want: everywhere(passes()), send: together, check: seesAlice}),
		rows("76", testCase{title: "with a proxy_cache around the check, the next request of a deleted device", send: cachedCheck(cacheOn),
			want: only(refused("device_not_recognized"), "nginx")}),
		rows("B3", aliasRows()...),
	)
}

// aliasRows send the aliases with each odd character by themselves.
func aliasRows() []testCase {
	var all []testCase
	for _, c := range odd {
		all = append(all, testCase{title: "aliases with " + string(c) + " alone, with a token", want: everywhere(passes()), check: seesAlice,
			headers: []string{"Remote" + string(c) + "User: evil", "remote" + string(c) + "groups: staff", "REMOTE" + string(c) + "DEVICE: evil", asAlice}})
	}
	return all
}

// neverBoth asks for users with and without roles; what Envoy removes after it has set is gone.
func neverBoth(t *testing.T, b *bench, id string) exchange {
	conn, err := grpc.NewClient(b.gate.address["checks.grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, policy := range []string{"default", "stripped", "preflight"} {
		for _, s := range []session{b.alice, b.carol} {
			in := checkRequest("Bearer "+s.Access, http.MethodGet, "app.example", "/"+id)
			in.Attributes.ContextExtensions = map[string]string{"policy": policy}
			out, err := auth.NewAuthorizationClient(conn).Check(t.Context(), in)
			if err != nil || out.GetOkResponse() == nil {
				t.Fatalf("the policy %s: %v, %v", policy, out, err)
			}
			for _, h := range out.GetOkResponse().GetHeaders() {
				if slices.ContainsFunc(out.GetOkResponse().GetHeadersToRemove(), func(name string) bool {
					return strings.EqualFold(name, h.GetHeader().GetKey())
				}) {
					t.Errorf("the policy %s sets and removes %s", policy, h.GetHeader().GetKey())
				}
			}
		}
	}
	return exchange{id: id, response: response{status: http.StatusOK, header: http.Header{}}}
}

// together sends requests of alice and carol side by side and looks at what the backend was told of
// each. The last exchange is one of alice's.
func together(t *testing.T, b *bench, id string) exchange {
	before := b.backend.count()
	var all sync.WaitGroup
	for i := range 40 {
		who := b.alice
		if i%2 == 1 {
			who = b.carol
		}
		all.Go(func() {
			raw := testCase{line: fmt.Sprintf("GET /%sn%dz", id, i), headers: []string{"Authorization: Bearer " + who.Access}}.raw(b, id)
			if got := sendRaw(t, clientIP, b.addr, raw, patience); got.status != http.StatusOK {
				t.Errorf("request %d: status %d", i, got.status)
			}
		})
	}
	all.Wait()
	seen := b.backend.since(before)
	for i := range 40 {
		want := []string{"alice", "carol"}[i%2]
		at := slices.IndexFunc(seen, func(r seenRequest) bool { return r.target() == fmt.Sprintf("/%sn%dz", id, i) })
		if at < 0 || !slices.Equal(seen[at].values("Remote-User"), []string{want}) {
			t.Errorf("request %d of %s is not among those seen with that name", i, want)
		}
	}
	return b.as(t, b.alice.Access, id)
}

// cacheOn keeps what the gate says for a minute, if the gate lets it, by all that it depends on.
var cacheOn = []literal{
	{"nginx.conf", "include               devicegate.conf;", "proxy_cache_path nginx-tmp-cache keys_zone=checks:1m;\n    include devicegate.conf;"},
	{"devicegate_check.conf", "proxy_http_version      1.1;", "proxy_http_version 1.1;\nproxy_cache checks;\nproxy_cache_valid any 1m;\n" +
		"proxy_cache_key $request_method$host$request_uri$http_authorization;"},
}

// cachedCheck passes with a device, ends it, and asks again with the same request.
func cachedCheck(changes []literal) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		cached := b.variant(t, changes...)
		s := b.gate.signIn(t, "alice")
		if x := cached.as(t, s.Access, id); x.status != http.StatusOK {
			t.Fatalf("before the device is deleted: status %d", x.status)
		}
		b.gate.deleteDevice(t, b.alice.Access, s.Device)
		x := cached.as(t, s.Access, id)
		if !eventually(patience, func() bool { return len(b.gate.decisions(id)) == 2 }) {
			t.Errorf("the gate was asked %d times, want 2", len(b.gate.decisions(id)))
		}
		return x
	}
}
