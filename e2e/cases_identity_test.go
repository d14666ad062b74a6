package e2e_test

import "testing"

// odd are the characters, besides letters, digits and the dash, that a header's name may have. Many
// backends read Remote<odd>User as Remote-User.
const odd = "_.~!#$%&'*+^`|"

func identityCases() []testCase {
	evil := []string{"Remote-User: evil", "Remote-Groups: staff,admin", "Remote-Device: evil", "remote-user: evil", "REMOTE-USER: evil"}
	underscores := []string{"Remote_User: evil", "REMOTE_GROUPS: staff", "remote_device: evil"}
	var aliases []string
	for _, c := range odd {
		aliases = append(aliases, "Remote"+string(c)+"User: evil", "remote"+string(c)+"groups: staff")
	}
	asCarol := func(t *testing.T, b *bench, x exchange) { t.Helper(); seesOnly(t, x, "carol", b.carol.Device, "") }
	all := []testCase{
		{number: 21, title: "a nested location with a header of its own", line: "GET /ws/{id}", headers: append(evil, asAlice),
			want: only(passes(), "nginx"), check: seesAlice},
		{number: 24, title: "our headers replace the client's, none is added to them", headers: append(evil, asAlice),
			want: only(passes(), envoys...), check: seesAlice},
		{number: 24, title: "the same by the gate alone, without header_mutation", want: only(passes(), envoys...), check: seesAlice,
			send: withoutMutation(testCase{headers: append(evil, asAlice)})},
		{number: 26, title: "the header of a user without roles is removed", headers: append(evil, "Authorization: Bearer {carol}"),
			want: everywhere(passes()), check: asCarol},
		{number: 26, title: "the same by the gate alone, without header_mutation", want: only(passes(), envoys...), check: asCarol,
			send: withoutMutation(testCase{headers: append(evil, "Authorization: Bearer {carol}")})},
		{number: 28, title: "the access token is kept from the backend, by the line that the example has for it", want: only(passes(), "caddy", "haproxy"),
			send:  uncommented(map[string]string{"caddy": "request_header -Authorization", "haproxy": "http-request del-header Authorization"}),
			check: seesNoToken},
		{number: 28, title: "the same by copy_headers", want: only(passes(), "caddy"), check: seesNoToken,
			send: func(t *testing.T, b *bench, id string) exchange {
				return b.changed(t, literal{b.files[0], "copy_headers ", "copy_headers Authorization "}).as(t, b.alice.Access, id)
			}},
	}
	for _, spoof := range []struct {
		number  int
		what    string
		headers []string
	}{
		{19, "Remote-User: evil", evil},
		{22, "Remote_User: evil", underscores},
		{23, "Remote.User, Remote~User and twelve more", aliases},
	} {
		with := func(more ...string) []string { return append(append([]string(nil), spoof.headers...), more...) }
		all = append(all,
			testCase{number: spoof.number, title: spoof.what + ", with a token", headers: with(asAlice), want: everywhere(passes()), check: seesAlice},
			testCase{number: spoof.number, title: spoof.what + ", without a token", headers: with(), want: everywhere(refused("no_token"))},
			testCase{number: spoof.number, title: spoof.what + ", on the open route", line: "GET /open/{id}", headers: with(), want: everywhere(isOpen()), check: seesNobody})
	}
	return all
}

// seesNoToken: the backend learns who asks, and gets nothing that it could ask with itself.
func seesNoToken(t *testing.T, b *bench, x exchange) {
	seesAlice(t, b, x)
	if got := x.seen[0].values("Authorization"); len(got) > 0 {
		t.Errorf("the backend was sent Authorization: %q", got)
	}
}

// uncommented sends a good token through a proxy in whose file a line, named by its product, is no comment
// any more.
func uncommented(lines map[string]string) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		line := lines[b.name]
		return b.changed(t, literal{b.files[0], "# " + line, line}).as(t, b.alice.Access, id)
	}
}

// withoutMutation sends a request through an Envoy that does not remove the client's identity headers
// before the check: the gate's answer has to do it.
func withoutMutation(c testCase) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		var changes []literal
		for _, name := range []string{"remote-user", "remote-groups", "remote-device"} {
			changes = append(changes, literal{b.files[0], "- remove: " + name + "\n", "- remove: x-nothing\n"})
		}
		return b.changed(t, changes...).exchange(t, c.raw(b, id), id)
	}
}
