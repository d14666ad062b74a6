package main

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"devicegate/config"
	"devicegate/doctor/probe"
)

// TestDemands: the account of the probes gets what the policy demands and no more.
func TestDemands(t *testing.T) {
	for _, c := range []struct {
		policy config.Policy
		roles  []string
	}{
		{config.Policy{}, nil},
		{config.Policy{RequireRoles: []string{"staff", "admin"}}, []string{"staff"}},
		{config.Policy{RequireRoles: []string{"admin", "staff"}}, []string{"staff"}},
		{config.Policy{RequireRoles: []string{"admin"}}, []string{"admin"}},
		{config.Policy{RequireAllRoles: []string{"a", "b"}}, []string{"a", "b"}},
		{config.Policy{RequireRoles: []string{"staff", "b"}, RequireAllRoles: []string{"a", "b"}}, []string{"a", "b"}},
		{config.Policy{RequireRoles: []string{"staff"}, RequireAllRoles: []string{"a"}}, []string{"a", "staff"}},
	} {
		if got := demands("p", c.policy).Roles; !slices.Equal(got, c.roles) {
			t.Errorf("%+v: roles %v, want %v", c.policy, got, c.roles)
		}
	}
}

// TestPinnedTo: the password of the probes goes to the service with the certificate of the file, and to nobody else.
func TestPinnedTo(t *testing.T) {
	one, other := httptest.NewTLSServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	defer one.Close()
	defer other.Close()
	file := filepath.Join(t.TempDir(), "certificate.pem")
	write := func(certificate []byte) {
		content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func() error {
		pinned, err := pinnedTo(file)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: pinned}}).Get(one.URL)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	write(one.Certificate().Raw)
	if err := ask(); err != nil {
		t.Errorf("the certificate of the file is refused: %v", err)
	}
	changed := slices.Clone(other.Certificate().Raw)
	changed[len(changed)-1] ^= 1
	write(changed)
	if err := ask(); err == nil || !strings.Contains(err.Error(), "another certificate") {
		t.Errorf("another certificate: %v", err)
	}
	if err := os.WriteFile(file, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pinnedTo(file); err == nil {
		t.Error("a file without a certificate is taken")
	}
}

// TestViaFlags: what cannot be meant is a usage error, before anything is asked.
func TestViaFlags(t *testing.T) {
	cfg := config.Default()
	cfg.IdentityHeaders.Assertion = "Remote-Assertion"
	sound := viaFlags{url: "https://app.example/doctor", policy: "default", timeout: time.Second}
	if way, err := sound.way(&cfg); err != nil || way.Identity != (probe.Identity{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device", Assertion: "Remote-Assertion"}) || way.Policy.Name != "default" {
		t.Errorf("%+v, %v", way, err)
	}
	for _, change := range []func(*viaFlags){
		func(v *viaFlags) { v.url = "app.example/doctor" },
		func(v *viaFlags) { v.url = "ftp://app.example" },
		func(v *viaFlags) { v.url = "https:///doctor" },
		func(v *viaFlags) { v.url = "https://user@app.example/" },
		func(v *viaFlags) { v.url = "https://app.example/?x" },
		func(v *viaFlags) { v.policy = "stuff" },
		func(v *viaFlags) { v.proxy = "apache" },
		func(v *viaFlags) { v.host = "app.example\r\nX: y" },
		func(v *viaFlags) { v.listen = "9000" },
		func(v *viaFlags) { v.open = "open" },
		func(v *viaFlags) { v.timeout = 0 },
		func(v *viaFlags) { v.caFile = "doctorvia_test.go" },
	} {
		v := sound
		change(&v)
		var usage *usageError
		if _, err := v.way(&cfg); !errors.As(err, &usage) {
			t.Errorf("%+v: %v, want a usage error", v, err)
		}
	}
	v := sound
	v.host = "app.example:8443"
	if way, err := v.way(&cfg); err != nil || way.TLS.ServerName != "app.example" {
		t.Errorf("the name in TLS is %+v, %v", way.TLS, err)
	}
}
