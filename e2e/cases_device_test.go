package e2e_test

import (
	"net/http"
	"os/exec"
	"testing"
)

// deviceCases are the ends of a device, each seen at its next request.
func deviceCases() []testCase {
	return []testCase{
		{number: 74, title: "sign in, pass, delete the device: its next request", want: everywhere(refused("device_not_recognized")), send: removed},
		{number: 74, title: "the next request of a device that a newer sign-in put out", want: everywhere(refused("device_replaced")), send: putOut},
		{number: 74, title: "with on_limit: refuse the newer sign-in is refused, and the device passes", want: everywhere(passes()), send: newerRefused},
		{number: 74, title: "the next request of a device whose user changed the password on another", want: everywhere(refused("device_not_recognized")), send: passwordChanged},
		{number: 74, title: "an old token of a device that signed in again", want: everywhere(refused("device_not_recognized")), send: signedInAgain},
		{number: 74, title: "the next request of a disabled user", want: everywhere(refused("inactive_account")), send: disabled},
		{number: 74, title: "with ip_change: revoke, a request from another address", want: everywhere(refused("device_compromised")), send: addressChanged},
	}
}

// removed walks the whole path as a person does, all of it through the proxy, and sends the request
// that follows the removal.
func removed(t *testing.T, b *bench, id string) exchange {
	g := *b.gate
	g.via = b.addr
	s := g.signIn(t, "alice")
	var device struct {
		IP string `json:"ip_address"`
	}
	if status := g.call(t, http.MethodGet, "/trusted-devices/"+s.Device, s.Access, nil, &device); status != 200 || device.IP != clientIP {
		t.Errorf("the device is shown with status %d and address %q, want %s", status, device.IP, clientIP)
	}
	if x := b.as(t, s.Access, b.id()); x.status != 200 || len(x.seen) != 1 {
		t.Fatalf("before the device is deleted: status %d, seen %d times", x.status, len(x.seen))
	}
	g.deleteDevice(t, b.alice.Access, s.Device)
	return b.as(t, s.Access, id)
}

func putOut(t *testing.T, b *bench, id string) exchange {
	old := b.bob
	b.mustPass(t, old)
	b.bob = b.gate.signIn(t, "bob")
	return b.as(t, old.Access, id)
}

// mustPass sends a request that has to pass before the one that the case is about.
func (b *bench) mustPass(t *testing.T, s session) {
	t.Helper()
	if x := b.as(t, s.Access, b.id()); x.status != http.StatusOK || len(x.seen) != 1 {
		t.Fatalf("before it: status %d, seen %d times", x.status, len(x.seen))
	}
}

// passwordChanged: what is set is the same password again, which other cases sign in with.
func passwordChanged(t *testing.T, b *bench, id string) exchange {
	other := b.gate.signIn(t, "carol")
	b.mustPass(t, other)
	change := map[string]string{"current_password": passphrase, "new_password": passphrase}
	if status := b.gate.call(t, http.MethodPost, "/api/password", b.carol.Access, change, nil); status != http.StatusNoContent {
		t.Fatalf("changing the password: status %d", status)
	}
	x := b.as(t, other.Access, id)
	b.mustPass(t, b.carol)
	return x
}

func signedInAgain(t *testing.T, b *bench, id string) exchange {
	before := b.gate.signIn(t, "carol")
	b.mustPass(t, before)
	var after session
	again := map[string]string{"username": "carol", "password": passphrase, "refresh": before.Refresh}
	if status := b.gate.call(t, http.MethodPost, "/api/token", "", again, &after); status != http.StatusOK || after.Device != before.Device {
		t.Fatalf("signing in again: status %d, device %s, want %s", status, after.Device, before.Device)
	}
	x := b.as(t, before.Access, id)
	b.mustPass(t, after)
	return x
}

func disabled(t *testing.T, b *bench, id string) exchange {
	b.gate.addUser(t, "dora")
	s := b.gate.signIn(t, "dora")
	b.mustPass(t, s)
	cmd := exec.Command(service, "user", "disable", "dora", "-c", b.gate.config)
	cmd.Dir = b.gate.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("devicegate user disable: %v\n%s", err, out)
	}
	return b.as(t, s.Access, id)
}

// strict returns the bench with a gate that refuses the sign-in over a limit and ends a device that
// changes its address, and a proxy of its own before it. They last as long as t.
func (b *bench) strict(t *testing.T) *bench {
	t.Helper()
	through := *b
	through.gate, _ = openGate(t, gateDir(t), b.example,
		[]string{"DEVICEGATE_DEVICES_ON_LIMIT=refuse", "DEVICEGATE_DEVICES_IP_CHANGE_ACTION=revoke"})
	through.gate.addUser(t, "bob", "staff")
	through.bob = through.gate.signIn(t, "bob")
	through.relay = startRelay(t, through.gate.checks(b.product))
	through.addr = startProxy(t, b.product, b.backend.addr, through.relay.addr, through.gate.address["api"])
	return &through
}

// decided adds the decision, which the gate of the other cases does not know.
func (b *bench) decided(t *testing.T, x exchange) exchange {
	t.Helper()
	d := b.gate.waitDecision(t, x.id)
	x.decision = &d
	return x
}

func newerRefused(t *testing.T, b *bench, id string) exchange {
	s := b.strict(t)
	s.gate.via = s.addr
	newer := map[string]string{"username": "bob", "password": passphrase}
	if status := s.gate.call(t, http.MethodPost, "/api/token", "", newer, nil); status != http.StatusForbidden {
		t.Errorf("the sign-in over the limit: status %d, want 403", status)
	}
	return s.decided(t, s.as(t, s.bob.Access, id))
}

// addressChanged comes from the proxy's own address: a walk over nothing but trusted hops ends at it.
func addressChanged(t *testing.T, b *bench, id string) exchange {
	s := b.strict(t)
	s.mustPass(t, s.bob)
	x := s.exchangeFrom(t, "127.0.0.1", testCase{headers: []string{"Authorization: Bearer " + s.bob.Access}}.raw(s, id), id)
	if back := s.as(t, s.bob.Access, s.id()); back.status != x.status {
		t.Errorf("the request after it, from the first address: status %d, want %d", back.status, x.status)
	}
	return s.decided(t, x)
}
