package server_test

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"devicegate/config"
	"devicegate/server"
)

// TestExplainOfADeviceThatCameBack: one of another issuer that expired and was registered anew. Its old end is not why it
// is refused now.
func TestExplainOfADeviceThatCameBack(t *testing.T) {
	var ahead atomic.Int64
	clock := server.WithClock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) })
	cfg := withDjango(t, settings(t))
	cfg.Devices.MaxLifetime, cfg.Devices.IPChange.Action = 10*time.Second, config.IPChangeRevoke
	s := start(t, cfg, clock)
	token := djangoToken("7", "5b0c7f7e-9d43-4c0a-8a5e-0f1e2d3c4b5a")
	explained := func(from string) (detail string, effects []string) {
		t.Helper()
		a := s.ask(t, "admin", "POST", "/admin/explain", `{"token":"`+token+`","client_ip":"`+from+`"}`)
		var e struct {
			Effects []string
			Steps   []struct{ Step, Detail string }
		}
		if err := json.Unmarshal([]byte(a.body), &e); err != nil || a.status != 200 {
			t.Fatalf("explain: %d %s", a.status, a.body)
		}
		for _, step := range e.Steps {
			if step.Step == "device" {
				detail = step.Detail
			}
		}
		return detail, e.Effects
	}
	s.demand(t, "first seen", "/auth/traefik", token, "")
	eventually(t, "the device stored", func() bool {
		return strings.Contains(s.ask(t, "admin", "GET", "/admin/devices", "").body, "5b0c7f7e")
	})
	ahead.Store(int64(20 * time.Second))
	s.demand(t, "its time ran out", "/auth/traefik", token, "device_not_recognized")
	if err := s.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the device forgotten", func() bool {
		_, effects := explained("127.0.0.1")
		return strings.Contains(strings.Join(effects, ""), "would register")
	})
	s.demand(t, "seen again", "/auth/traefik", token, "")
	if detail, _ := explained("198.51.100.9"); !strings.Contains(detail, "its address changes") {
		t.Errorf("explained as %q", detail)
	}
}
