package authz_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/reason"
)

// good is a request that passes.
func good(w *authztest.World) authz.Request {
	return authz.Request{
		Adapter: authz.Traefik, Peer: netip.MustParseAddr("127.0.0.1"), Complete: true, Policy: "default",
		Authorization: []string{"Bearer " + w.Anna.Token},
	}
}

// Whatever an adapter forgets to fill in refuses.
func TestDecideRefusesWhatIsNotProved(t *testing.T) {
	w := authztest.NewWorld(t)
	if d := w.Gate(authztest.Setup{}).Decide(t.Context(), good(w)); d.Outcome() != reason.Allow {
		t.Fatalf("a good request was refused: %v", d.Reason)
	}
	for what, c := range map[string]struct {
		change func(*authz.Request)
		want   reason.Reason
	}{
		"nothing at all":             {func(r *authz.Request) { *r = authz.Request{} }, reason.Undecided},
		"nothing but the adapter":    {func(r *authz.Request) { *r = authz.Request{Adapter: authz.Nginx} }, reason.PeerNotAllowed},
		"no adapter":                 {func(r *authz.Request) { r.Adapter = 0 }, reason.Undecided},
		"an adapter that is none":    {func(r *authz.Request) { r.Adapter = 200 }, reason.Undecided},
		"no peer":                    {func(r *authz.Request) { r.Peer = netip.Addr{} }, reason.PeerNotAllowed},
		"not complete":               {func(r *authz.Request) { r.Complete = false }, reason.RequestIncomplete},
		"no policy":                  {func(r *authz.Request) { r.Policy = "" }, reason.PolicyUnknown},
		"a policy in another case":   {func(r *authz.Request) { r.Policy = "Default" }, reason.PolicyUnknown},
		"no Authorization":           {func(r *authz.Request) { r.Authorization = nil }, reason.NoToken},
		"a peer that is not allowed": {func(r *authz.Request) { r.Peer = netip.MustParseAddr("10.0.0.1") }, reason.PeerNotAllowed},
	} {
		req := good(w)
		c.change(&req)
		d := w.Gate(authztest.Setup{}).Decide(t.Context(), req)
		if d.Reason != c.want || d.Outcome() == reason.Allow || d.Identity.Set != nil || d.Identity.Remove != nil {
			t.Errorf("%s: %+v, want %v", what, d, c.want)
		}
	}
}

// A configuration cannot make the unreadable policy a known one.
func TestUnreadablePolicyIsNeverKnown(t *testing.T) {
	w := authztest.NewWorld(t)
	config := authz.Config{AllowedPeers: authztest.Loopback, Policies: map[string]authz.Policy{"": {}, "default": {}}}
	req := good(w)
	req.Policy = ""
	if d := w.Authorizer(config).Decide(t.Context(), req); d.Reason != reason.PolicyUnknown {
		t.Errorf("got %v", d.Reason)
	}
}

func TestPeers(t *testing.T) {
	w := authztest.NewWorld(t)
	for peer, networks := range map[string]map[string]bool{
		"127.0.0.1":        {"127.0.0.0/8": true, "10.0.0.0/8": false, "::/1": false},
		"::ffff:127.0.0.1": {"127.0.0.0/8": true, "10.0.0.0/8": false},
		"10.1.2.3":         {"10.1.2.3/32": true, "10.1.2.4/32": false},
		"::1":              {"::1/128": true, "127.0.0.0/8": false},
		"fe80::1%eth0":     {"fe80::/10": true, "fd00::/8": false},
	} {
		for network, want := range networks {
			req := good(w)
			req.Peer = netip.MustParseAddr(peer)
			d := w.Gate(authztest.Setup{Peers: []netip.Prefix{netip.MustParsePrefix(network)}}).Decide(t.Context(), req)
			if allowed := d.Reason != reason.PeerNotAllowed; allowed != want {
				t.Errorf("peer %s with %s allowed: %t, want %t", peer, network, allowed, want)
			}
		}
	}
	req := good(w)
	req.Peer, req.Local = netip.Addr{}, true
	if d := w.Gate(authztest.Setup{Peers: []netip.Prefix{}}).Decide(t.Context(), req); d.Outcome() != reason.Allow {
		t.Errorf("a unix socket was refused: %v", d.Reason)
	}
}

// Whatever the index says of its state, only OK goes on to allow, and there is a status for everything.
func TestEveryStateHasAnOutcome(t *testing.T) {
	w := authztest.NewWorld(t)
	for v := range 256 {
		d := w.Gate(authztest.Setup{Forced: reason.Reason(v), HasForced: true}).Decide(t.Context(), good(w))
		if allowed := d.Outcome() == reason.Allow; allowed != (reason.Reason(v) == reason.OK) {
			t.Errorf("state %d (%v): allowed %t", v, reason.Reason(v), allowed)
		}
		for a := range 256 {
			status := authz.Adapter(a).Status(d.Outcome())
			known := a >= int(authz.Traefik) && a <= int(authz.HAProxy)
			if (status == 200) != (known && d.Outcome() == reason.Allow) || status/100 == 3 {
				t.Errorf("adapter %d answers %v with %d", a, d.Outcome(), status)
			}
		}
	}
	for o := range 256 {
		if status := authz.Traefik.Status(reason.Outcome(o)); (status == 200) != (reason.Outcome(o) == reason.Allow) {
			t.Errorf("outcome %d is answered %d", o, status)
		}
	}
}

func TestZeroDecisionDenies(t *testing.T) {
	var d authz.Decision
	if d.Outcome() != reason.Deny || d.Challenge() != "" {
		t.Errorf("the zero Decision is %v with challenge %q", d.Outcome(), d.Challenge())
	}
}

// The words of the adapters are in operators' dashboards.
func TestAdapterWords(t *testing.T) {
	var got []string
	for _, a := range append(authz.Adapters(), 0, 200) {
		got = append(got, a.String())
	}
	if diff := cmp.Diff([]string{"traefik", "nginx", "envoy_http", "envoy_grpc", "caddy", "haproxy", "unknown", "unknown"}, got); diff != "" {
		t.Error(diff)
	}
}

// A refusal names in the log who it was as far as that was proved, and nobody whose token proved nothing.
func TestWhoIsNamed(t *testing.T) {
	w := authztest.NewWorld(t)
	for raw, want := range map[string][2]string{
		w.Anna.Token:       {"anna", w.Anna.Device.String()},
		w.Ended.Token:      {"", w.Ended.Device.String()},
		w.Tokens.Expired:   {"", ""},
		w.Tokens.Signature: {"", ""},
	} {
		gate := w.Gate(authztest.Setup{})
		req := good(w)
		req.Authorization = []string{"Bearer " + raw}
		gate.Decide(t.Context(), req)
		line := gate.Log.Lines(t)[0]
		if line["user"] != want[0] || line["device_uid"] != want[1] {
			t.Errorf("named %v %v, want %v", line["user"], line["device_uid"], want)
		}
	}
}
