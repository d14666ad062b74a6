package e2e_test

import "testing"

// uncleaned are the proxies that pass a path on as it came. Their examples refuse what would have to be
// cleaned.
var uncleaned = []string{"nginx", "caddy", "haproxy"}

// pathCases: the gate matches no paths, so what is open is the proxy's word alone. No spelling of a
// path that a backend may read as a protected one gets there over the open route. (Where a row says
// that the request is let through, the proxy had cleaned it to /open/{id} before.)
func pathCases() []testCase {
	var all []testCase
	for _, spelling := range []struct {
		number int
		path   string
		want   answers
	}{
		{43, "/open/../{id}", everywhere(refused("no_token")).except(byProxy(400), uncleaned...)},
		{43, "/open/%2e%2e/{id}", everywhere(refused("no_token")).except(byProxy(400), uncleaned...)},
		{43, "/open/.%2E/{id}", everywhere(refused("no_token")).except(byProxy(400), uncleaned...)},
		{43, "/staff/../open/{id}", everywhere(isOpen()).except(byProxy(400), uncleaned...)},
		{43, "/staff/%2e%2e/open/{id}", everywhere(isOpen()).except(byProxy(400), uncleaned...)},
		{43, "/staff/..%2fopen/{id}", everywhere(byProxy(400))},
		{43, "/staff/..;/open/{id}", only(byProxy(400), uncleaned...).except(byProxy(418), "traefik").except(isOpen(), envoys...)},
		{45, "/open/#/../../{id}", everywhere(byProxy(400))},
		{45, "//{id}", everywhere(refused("no_token"))},
		{45, "/open/..//{id}", everywhere(refused("no_token")).except(byProxy(400), uncleaned...)},
		{45, "/open;x/{id}", everywhere(refused("no_token"))},
		{45, "/OPEN/{id}", everywhere(refused("no_token"))},
		{45, "/open/..;/{id}", only(byProxy(400), uncleaned...).except(byProxy(418), "traefik").except(refused("no_token"), envoys...)},
		{45, "/open/.;/../{id}", only(byProxy(400), uncleaned...).except(isOpen(), "traefik").except(refused("no_token"), envoys...)},
		{45, "/open/%2e%2e;/{id}", everywhere(byProxy(400)).except(byProxy(418), "traefik")},
		{45, "/open/..%3b/{id}", everywhere(byProxy(400))},
		{45, "/open/..%2f{id}", everywhere(byProxy(400))},
		{45, "/open/..%5c{id}", everywhere(byProxy(400))},
		{45, `/open/..\{id}`, everywhere(byProxy(400)).except(refused("no_token"), envoys...)},
		{45, "/open/%252e%252e/{id}", everywhere(byProxy(400))},
		{46, "/open/%00/../{id}", everywhere(byProxy(400)).except(isOpen(), "traefik")},
		{46, "/{id}%00", everywhere(byProxy(400))},
	} {
		all = append(all, testCase{number: spelling.number, title: "path " + spelling.path, line: "GET " + spelling.path, want: spelling.want, check: staysOpen})
	}
	return append(all,
		testCase{number: 45, title: "path //staff/{id} keeps its policy", line: "GET //staff/{id}", headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
		testCase{number: 45, title: "path /staff/./{id} keeps its policy", line: "GET /staff/./{id}", headers: []string{asAlice}, want: everywhere(refused("role_missing")).except(byProxy(400), uncleaned...)},
		testCase{number: 45, title: "path /staff;x/{id} keeps its policy", line: "GET /staff;x/{id}", headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
		testCase{number: 45, title: "path /st%61ff/{id} keeps its policy", line: "GET /st%61ff/{id}", headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
		testCase{number: 45, title: "path /st%61ff/{id}%zz keeps its policy", line: "GET /st%61ff/{id}%zz", headers: []string{asAlice}, want: everywhere(byProxy(400)).except(refused("role_missing"), "envoy_grpc")},
		testCase{number: 45, title: "path /staff/..#/{id} keeps its policy", line: "GET /staff/..#/{id}", headers: []string{asAlice}, want: everywhere(byProxy(400))},
		testCase{number: 45, title: "path /staff/.%2e#{id} keeps its policy", line: "GET /staff/.%2e#{id}", headers: []string{asAlice}, want: everywhere(byProxy(400))},
		testCase{number: 45, title: "path /;/staff/{id} keeps its policy", line: "GET /;/staff/{id}", headers: []string{asAlice}, want: everywhere(byProxy(400)).except(byProxy(418), "traefik")},
		testCase{number: 45, title: "path /open/{id}?../ stays open", line: "GET /open/{id}?a=%2f..;/", want: everywhere(isOpen()),
			check: func(t *testing.T, b *bench, x exchange) { seesNobody(t, b, x) }},
		testCase{number: 45, title: "the policy is not the client's: ?policy=default", line: "GET /staff/{id}?policy=default", headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
		testCase{number: 45, title: "the policy is not the client's: /staff/../auth/envoy/default", line: "GET /staff/../auth/envoy/default/{id}", want: everywhere(refused("no_token")).except(byProxy(400), uncleaned...)},
	)
}

// staysOpen: what the backend got over the open route still lies below it, as it stands.
func staysOpen(t *testing.T, b *bench, x exchange) {
	for _, r := range x.seen {
		if r.target() != "/open/"+x.id {
			t.Errorf("the backend was sent %s over the open route", r.target())
		}
	}
}
