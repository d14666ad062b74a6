package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/rs/zerolog"

	"devicegate/config"
	"devicegate/password/passwordtest"
	"devicegate/server"
)

// The administration answers on the socket to everybody who gets there, over TCP to admins alone and only where
// that is configured, and on no other listener.
func TestAdminListeners(t *testing.T) {
	cfg := settings(t)
	if _, there := start(t, cfg).Addresses()["admin.address"]; there {
		t.Error("the administration is over TCP without being asked for")
	}
	cfg = settings(t)
	cfg.Admin.Address = config.Address{Network: "tcp", Addr: "127.0.0.1:0"}
	s := start(t, cfg)
	token := s.signIn(t)
	if a := s.ask(t, "admin", "POST", "/admin/users", `{"name":"root","password":"`+secret+`","roles":["admin"]}`); a.status != 201 {
		t.Fatalf("making an admin: %d %s", a.status, a.body)
	}
	a := s.ask(t, "api", "POST", "/api/token", `{"username":"root","password":"`+secret+`"}`)
	var root struct{ Access string }
	if err := json.Unmarshal([]byte(a.body), &root); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		listener, token string
		want            int
	}{
		{"admin", "", 200}, {"admin.address", "", 401}, {"admin.address", token, 403}, {"admin.address", root.Access, 200},
		{"api", root.Access, 404}, {"checks.http", root.Access, 404}, {"operations", root.Access, 404},
	} {
		var header []string
		if c.token != "" {
			header = []string{"Authorization", "Bearer " + c.token}
		}
		if got := s.ask(t, c.listener, "GET", "/admin/users", "", header...); got.status != c.want {
			t.Errorf("%s with %.5q: %d %s, want %d", c.listener, c.token, got.status, got.body, c.want)
		}
	}
	if got := s.ask(t, "admin.address", "POST", "/api/token", `{}`); got.status != 404 {
		t.Errorf("the API on admin.address: %d", got.status)
	}
}

// What happened is counted, and the number of series is constant whatever is tried.
func TestAccountMetrics(t *testing.T) {
	s := start(t, settings(t))
	s.signIn(t)
	series := func() (n int, text string) {
		text = s.ask(t, "operations", "GET", "/metrics", "").body
		return strings.Count(text, "\ndevicegate_"), text
	}
	before, _ := series()
	for i := range 30 {
		s.ask(t, "api", "POST", "/api/token", fmt.Sprintf(`{"username":"made up %d","password":"wrong"}`, i), "X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))
	}
	after, text := series()
	if after != before {
		t.Errorf("%d series, and %d before the attempts", after, before)
	}
	for _, want := range []string{
		`devicegate_sign_ins_total{outcome="failure",reason="unknown_user"} 30`, `devicegate_sign_ins_total{outcome="success",reason="ok"} 1`,
		`devicegate_activity_events{of="unknown_names"} 30`, `devicegate_activity_events{of="others"} 2`,
		"devicegate_lockout_unknown_names 60", "devicegate_lockout_dropped_total 0", "devicegate_place_dropped_total 0",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// writeMMDB writes a database in which 81.2.69.0/24 is in city.
func writeMMDB(t *testing.T, path, city string) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-City", RecordSize: 24})
	if err != nil {
		t.Fatal(err)
	}
	_, network, err := net.ParseCIDR("81.2.69.0/24")
	if err != nil {
		t.Fatal(err)
	}
	record := mmdbtype.Map{
		"country": mmdbtype.Map{"iso_code": mmdbtype.String("GB")},
		"city":    mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(city)}},
	}
	if err := tree.Insert(network, record); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path + ".new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tree.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// A place from the local file stands in the history, at the device and in the log; a file that cannot be read
// stops the start with a sentence that names the key.
func TestPlaceFromFile(t *testing.T) {
	cfg := settings(t)
	cfg.Geo.MMDBFile = filepath.Join(filepath.Dir(cfg.Store.Path), "city.mmdb")
	if _, err := server.Open(t.Context(), cfg, zerolog.Nop(), server.WithHasher(&passwordtest.Hasher{})); err == nil || !strings.Contains(err.Error(), "geo.mmdb_file") {
		t.Fatalf("without the file: %v", err)
	}
	writeMMDB(t, cfg.Geo.MMDBFile, "London")
	s := start(t, cfg)
	s.signIn(t)
	a := s.ask(t, "api", "POST", "/api/token", `{"username":"alice","password":"`+secret+`"}`, "X-Forwarded-For", "81.2.69.160")
	var tokens struct {
		Access string
		UID    string `json:"device_uid"`
	}
	if err := json.Unmarshal([]byte(a.body), &tokens); err != nil || a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/trusted-devices/" + tokens.UID, "/login-activity?limit=1"} {
		got := s.ask(t, "api", "GET", path, "", "Authorization", "Bearer "+tokens.Access)
		if !strings.Contains(got.body, `"country":"GB"`) || !strings.Contains(got.body, `"city":"London"`) {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	if lines := s.log.with(`"city":"London"`); len(lines) != 1 || !strings.Contains(lines[0], `"message":"sign_in"`) {
		t.Errorf("the log: %q", lines)
	}
}
