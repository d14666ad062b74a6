package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"devicegate/doctor"
	"devicegate/doctor/probe"
)

// TestDoctorVia: devicegate doctor --via finds nothing on the examples, and on every example with a danger in it what
// the table says. A danger that the table leaves out fails.
func TestDoctorVia(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, p.program)
			g, _ := openGate(t, gateDir(t), p.example, []string{"DEVICEGATE_API_SIGN_IN_RATE=100000/1s"})
			t.Run("the example", func(t *testing.T) { findsNothing(t, p, g) })
			for _, same := range dangersByChange(t, p) {
				t.Run(same[0].title, func(t *testing.T) { findsDangers(t, p, g, same) })
			}
			leavesNobody(t, g)
		})
	}
}

// findsNothing runs the program as an operator does, and the staff route by the package.
func findsNothing(t *testing.T, p product, g *gate) {
	d := openDoor(t)
	proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"])
	d.close()
	code, stdout, stderr := runDoctor(t, g, "--via", "http://"+proxy+"/doctor", "--listen", d.addr, "--open", "/open/", "--host", "app.example")
	if code != 0 || stdout != "" || !strings.Contains(stderr, "requests through") {
		t.Errorf("on the example: exit code %d\n%s%s", code, stdout, stderr)
	}
	report, err := probed(t, viaOf(g, proxy, "/staff", d.addr))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("on the example's staff route: %s", f)
	}
	if report.Requests < 100 || report.Requests > probe.MaxRequests {
		t.Errorf("it sent %d requests", report.Requests)
	}
}

// A named danger is one with what the table says of it.
type namedDanger struct {
	weakening
	sight
}

// dangersByChange returns the dangers that --via can see, those with the same change and path together.
func dangersByChange(t *testing.T, p product) [][]namedDanger {
	t.Helper()
	told := sights(p.name)
	var groups [][]namedDanger
	at := map[string]int{}
	for _, w := range allDangers(p.name) {
		s, there := told[w.title]
		delete(told, w.title)
		if !there || (s.code == "") == (s.why == "") {
			t.Errorf("the danger %q: say in sights whether --via sees it, or why not", w.title)
		}
		if s.code == "" {
			continue
		}
		key := fmt.Sprintf("%q %s", w.changes, s.path)
		i, known := at[key]
		if !known {
			i = len(groups)
			at[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], namedDanger{w, s})
	}
	for title := range told {
		t.Errorf("sights has %q, which is no danger", title)
	}
	return groups
}

// allDangers are those of the files danger_*_test.go.
func allDangers(product string) []weakening {
	switch product {
	case "caddy":
		return caddyWeakenings()
	case "haproxy":
		return haproxyWeakenings()
	}
	var all []weakening
	for _, d := range dangersOf(product) {
		all = append(all, d.weakening)
	}
	return all
}

// findsDangers runs the probes once and looks for what each of the dangers is to show.
func findsDangers(t *testing.T, p product, g *gate, same []namedDanger) {
	d := openDoor(t)
	changes := append(slices.Clone(same[0].changes), quick[p.name]...)
	proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"], changes...)
	d.close()
	report, err := probed(t, viaOf(g, proxy, same[0].path, d.addr))
	if err != nil {
		t.Fatal(err)
	}
	for _, danger := range same {
		if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Code == danger.code }) {
			t.Errorf("%s: no finding %s among %v", danger.title, danger.code, report.Findings)
		}
	}
	for _, f := range report.Findings {
		if f.Fix == "" || f.Problem == "" || f.Where == "" {
			t.Errorf("an empty part: %+v", f)
		}
	}
}

// viaOf is what cmd/devicegate makes of the example's configuration and the flags --via, --listen, --open and --host.
func viaOf(g *gate, proxy, path, listen string) probe.Via {
	policy := probe.Policy{Name: "default"}
	if path == "" {
		path = "/idoctor"
	}
	if path == "/staff" {
		policy = probe.Policy{Name: "staff", Roles: []string{"staff"}}
	}
	return probe.Via{
		URL: &url.URL{Scheme: "http", Host: proxy, Path: path}, Host: "app.example", Open: "/open/", Listen: listen,
		Policy: policy, Identity: probe.Identity{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device"},
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Timeout: 5 * time.Second, Gate: operated(g), Log: io.Discard,
	}
}

// probed sends the probes. The port of a door stays in use for a moment after it is closed where the tests are just
// starting a process, which has a copy of it until it has become another program.
func probed(t *testing.T, way probe.Via) (report probe.Report, err error) {
	t.Helper()
	eventually(patience, func() bool {
		report, err = way.Run(t.Context())
		return !errors.Is(err, syscall.EADDRINUSE)
	})
	return report, err
}

// operated is the gate as its operator reaches it.
func operated(g *gate) probe.Gate {
	to := func(network, addr string) *http.Client {
		return &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		}}}
	}
	return probe.Gate{Admin: to("unix", g.store()+".sock"), API: to("tcp", g.address["api"]), Base: "http://api/gate",
		Operations: to("tcp", g.address["operations"]), Now: time.Now}
}

func (g *gate) store() string { return filepath.Join(g.dir, "devicegate.db") }

// doctorCommand is devicegate doctor with the gate's configuration, and the addresses that it took.
func doctorCommand(g *gate, args ...string) *exec.Cmd {
	cmd := exec.Command(service, append([]string{"doctor", "-c", g.config}, args...)...)
	cmd.Env = append(cmd.Environ(), "DEVICEGATE_STORE_PATH="+g.store(), "DEVICEGATE_API_ADDRESS="+g.address["api"], "DEVICEGATE_OPERATIONS_ADDRESS="+g.address["operations"])
	return cmd
}

func runDoctor(t *testing.T, g *gate, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	eventually(patience, func() bool {
		code, stdout, stderr = runDoctorOnce(t, g, args...)
		return !strings.Contains(stderr, "address already in use") // see probed
	})
	return code, stdout, stderr
}

func runDoctorOnce(t *testing.T, g *gate, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := doctorCommand(g, args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), said.String()
}

// A door holds the port of the backend, and answers in its place, until doctor takes it.
type door struct {
	addr  string
	close func()
}

// doors is the port of the next door. It is none that the system gives to connections: one of those would be in use
// when doctor wants it.
var doors atomic.Int32

func openDoor(t *testing.T) *door {
	t.Helper()
	doors.CompareAndSwap(0, int32(20000+os.Getpid()%8000))
	var l net.Listener
	if !eventually(patience, func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", doors.Add(1)))
		return err == nil
	}) {
		t.Fatal("no port is free")
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := readHead(bufio.NewReader(conn)); err == nil {
					fmt.Fprint(conn, says("200 OK"))
				}
			}()
		}
	}()
	return &door{l.Addr().String(), func() { l.Close() }}
}

// accounts lists the accounts of probes at the gate.
func accounts(t *testing.T, g *gate) []string {
	t.Helper()
	cmd := exec.Command(service, "user", "list", "-c", g.config, "-o", "json")
	cmd.Env = append(cmd.Environ(), "DEVICEGATE_STORE_PATH="+g.store())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "devicegate-doctor-") {
			found = append(found, line)
		}
	}
	return found
}

func leavesNobody(t *testing.T, g *gate) {
	t.Helper()
	if left := accounts(t, g); len(left) > 0 {
		t.Errorf("accounts are left: %s", left)
	}
}

// TestDoctorViaTLS: the probes are sent in HTTP/2 as well.
func TestDoctorViaTLS(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		if listenTLS[p.name] == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, p.program)
			g, _ := openGate(t, gateDir(t), p.example, []string{"DEVICEGATE_API_SIGN_IN_RATE=100000/1s"})
			d := openDoor(t)
			certificate, key := selfSigned(t)
			port := freePort(t)
			startProxy(t, p, d.addr, g.checks(p), g.address["api"], append(listenTLS[p.name](port, certificate, key), quick[p.name]...)...)
			d.close()
			args := []string{"--via", "https://127.0.0.1:" + port + "/doctor", "--listen", d.addr, "--open", "/open/", "--host", "app.example"}
			if code, stdout, stderr := runDoctor(t, g, append(args, "--ca-file", certificate)...); code != 0 || !strings.Contains(stderr, "Sent 2") {
				t.Errorf("exit code %d, and it is to send more than 200 requests\n%s%s", code, stdout, stderr)
			}
			if code, _, stderr := runDoctor(t, g, args...); code != 1 || !strings.Contains(stderr, "certificate") {
				t.Errorf("a certificate of nobody: exit code %d\n%s", code, stderr)
			}
		})
	}
}

// viaPolicies are added to the gate's, each the policy of one route.
const viaPolicies = `  nobody: {anonymous: allow}
  preflights: {cors_preflight: allow}
  stripped: {authorization: remove}
  reporting: {mode: report}
  old: {min_device_age: 1d}
  elsewhere: {allowed_networks: [198.51.100.0/24]}
`

// TestDoctorViaPolicies: what a policy allows is no finding, and what it makes unprovable is said.
func TestDoctorViaPolicies(t *testing.T) {
	t.Parallel()
	plain := probe.Policy{}
	for name, cases := range map[string][]struct {
		policy   string // of the route
		known    probe.Policy
		want     []string // codes
		unproved string   // a word of what is said
	}{
		"nginx": {
			{"nobody", probe.Policy{Anonymous: true}, nil, ""},
			{"nobody", plain, []string{"open-without-token"}, ""},
			{"preflights", probe.Policy{Preflight: true}, nil, ""},
			{"preflights", plain, []string{"options-pass"}, ""},
			{"reporting", probe.Policy{Report: true}, []string{"policy-report"}, ""},
			{"reporting", plain, []string{"open-without-token"}, ""},
			{"old", plain, nil, "device_too_new"},
			{"elsewhere", plain, nil, "network_not_allowed"},
			{"staff", plain, []string{"policy-other"}, "good token"},
		},
		"envoy_grpc": {
			{"stripped", probe.Policy{RemovesToken: true}, nil, ""},
			{"nobody", probe.Policy{RemovesToken: true, Anonymous: true}, []string{"token-reaches-backend"}, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := products[slices.IndexFunc(products, func(p product) bool { return p.name == name })]
			needProgram(t, p.program)
			g, _ := openGate(t, gateDir(t), changedExample(t, p.example, literal{"devicegate.yaml", "\ndevices:\n", "\n" + viaPolicies + "\ndevices:\n"}), []string{"DEVICEGATE_API_SIGN_IN_RATE=100000/1s"})
			for _, c := range cases {
				d := openDoor(t)
				change := map[string]literal{"nginx": {"devicegate.conf", "nginx?policy=default", "nginx?policy=" + c.policy}, "envoy_grpc": {"envoy_grpc.yaml", "{policy: default}", "{policy: " + c.policy + "}"}}
				proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"], change[name])
				d.close()
				way := viaOf(g, proxy, "", d.addr)
				way.Policy = c.known
				report, err := probed(t, way)
				if err != nil {
					t.Fatalf("%s: %v", c.policy, err)
				}
				var codes []string
				for _, f := range report.Findings {
					codes = append(codes, f.Code)
				}
				if !slices.Equal(codes, c.want) || !strings.Contains(strings.Join(report.Unproved, "\n"), c.unproved) {
					t.Errorf("%s, known as %+v: findings %v, want %v; not proved: %v, want %q among it", c.policy, c.known, report.Findings, c.want, report.Unproved, c.unproved)
				}
			}
			leavesNobody(t, g)
		})
	}
}

// TestDoctorViaAddress: a gate that is not told who the client is takes the proxy for it.
func TestDoctorViaAddress(t *testing.T) {
	t.Parallel()
	p := products[slices.IndexFunc(products, func(p product) bool { return p.name == "envoy_http" })]
	needProgram(t, p.program)
	g, _ := openGate(t, gateDir(t), p.example, nil)
	findsDangers(t, p, g, []namedDanger{{weakening{changes: []literal{{"envoy_http.yaml", "[{exact: x-forwarded-for}, ", "["}}}, seen("client-address-lost")}})
}

// TestDoctorViaAssertion: where the gate signs who asks, the backend has to get that too, and not the client's.
func TestDoctorViaAssertion(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"envoy_grpc": "", "nginx": "identity-missing"} { // nginx passes on what its files name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := products[slices.IndexFunc(products, func(p product) bool { return p.name == name })]
			needProgram(t, p.program)
			signing := literal{"devicegate.yaml", "\ndevices:\n", "\nidentity_headers: {assertion: Remote-Assertion}\n\ndevices:\n"}
			g, _ := openGate(t, gateDir(t), changedExample(t, p.example, signing), nil)
			d := openDoor(t)
			proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"])
			d.close()
			way := viaOf(g, proxy, "", d.addr)
			way.Open, way.Identity.Assertion = "", "Remote-Assertion"
			report, err := probed(t, way)
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Code == want })
			if found != (want != "") || want == "" && len(report.Findings) > 0 {
				t.Errorf("findings %v, want %q", report.Findings, want)
			}
		})
	}
}

// changedExample is the folder of an example of its own, whose devicegate.yaml has these texts replaced.
func changedExample(t *testing.T, example string, changes ...literal) string {
	t.Helper()
	dir := t.TempDir()
	copyExample(t, example, "devicegate.yaml", dir, changes)
	examples, err := filepath.Abs(filepath.Join("..", "examples"))
	if err == nil {
		dir, err = filepath.Rel(examples, dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDoctorViaWithoutBackend: what the client sees is judged, and it is said that the rest is not.
func TestDoctorViaWithoutBackend(t *testing.T) {
	t.Parallel()
	p := products[slices.IndexFunc(products, func(p product) bool { return p.name == "nginx" })]
	needProgram(t, p.program)
	g, _ := openGate(t, gateDir(t), p.example, nil)
	for _, c := range []struct {
		changes []literal
		code    int
		said    string // on stdout
	}{
		{nil, 0, ""},
		{[]literal{{"devicegate.conf", "location / {\n", "location / {\n satisfy any; allow all;\n"}}, 3, "open-without-token"},
		{[]literal{{"devicegate.conf", "location / {\n", "location / {\n return 200;\n"}}, 3, "open-without-token"},
	} {
		d := openDoor(t) // stays, and is the application
		proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"], c.changes...)
		code, stdout, stderr := runDoctor(t, g, "--via", "http://"+proxy+"/doctor")
		if code != c.code || !strings.Contains(stdout, c.said) || !strings.Contains(stderr, "Not proved: what reaches a backend") {
			t.Errorf("%q: exit code %d, want %d\n%s%s", c.changes, code, c.code, stdout, stderr)
		}
	}
}

// TestDoctorViaCannot: what stops the probes is said, with what to do, and is no finding.
func TestDoctorViaCannot(t *testing.T) {
	t.Parallel()
	p := products[slices.IndexFunc(products, func(p product) bool { return p.name == "nginx" })]
	needProgram(t, p.program)
	dir := gateDir(t)
	g, stop := openGate(t, dir, p.example, nil)
	d := openDoor(t)
	proxy := startProxy(t, p, d.addr, g.checks(p), g.address["api"])
	app := openDoor(t)
	half := startProxy(t, p, app.addr, g.checks(p), g.address["api"])
	app.close()
	for _, c := range []struct {
		name string
		args []string
		code int
		said string
	}{
		{"the application is down", []string{"--via", "http://" + half + "/doctor"}, 1, "start it, or be the backend with --listen"},
		{"the open path leads elsewhere", []string{"--via", "http://" + half + "/doctor", "--open", "/opn/", "--listen", app.addr}, 1, "nothing below --open /opn/ came to the backend"},
		{"nothing is routed", []string{"--via", "http://" + proxy + "/doctor", "--listen", "127.0.0.1:0"}, 1, "route the path of --via"},
		{"no proxy", []string{"--via", "http://127.0.0.1:1/doctor"}, 1, "the proxy does not answer at 127.0.0.1:1"},
		{"no URL", []string{"--via", "app.example"}, 2, "write a URL"},
		{"no such policy", []string{"--via", "http://" + proxy, "--policy", "stuff"}, 2, "no such policy"},
		{"no such proxy", []string{"--via", "http://" + proxy, "--proxy", "apache"}, 2, "--proxy"},
		{"--listen alone", []string{"--listen", "127.0.0.1:0"}, 2, "--listen needs --via"},
	} {
		if code, stdout, stderr := runDoctor(t, g, c.args...); code != c.code || stdout != "" || !strings.Contains(stderr, c.said) {
			t.Errorf("%s: exit code %d, want %d and %q\n%s%s", c.name, code, c.code, c.said, stdout, stderr)
		}
	}
	leavesNobody(t, g)
	stop()
	if code, _, stderr := runDoctor(t, g, "--via", "http://"+proxy+"/doctor"); code != 1 || !strings.Contains(stderr, "start devicegate serve") {
		t.Errorf("without the gate: exit code %d\n%s", code, stderr)
	}
}

// TestDoctorViaLeavesNothing: the account goes when doctor is interrupted, and a later run takes what a killed one left.
func TestDoctorViaLeavesNothing(t *testing.T) {
	t.Parallel()
	g, _ := openGate(t, gateDir(t), "nginx", nil)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	asked := make(chan bool, 9) // told of each request
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := readHead(bufio.NewReader(conn)); err == nil {
					asked <- true
					_, _ = io.Copy(io.Discard, conn)
				}
			}()
		}
	}()
	for _, by := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		running := startProcess(t, doctorCommand(g, "--via", "http://"+silent.Addr().String()+"/doctor", "--timeout", "1m"))
		select {
		case <-asked:
		case <-time.After(patience):
			t.Fatalf("nothing is sent:\n%s", running.log)
		}
		if n := len(accounts(t, g)); n != 1 {
			t.Fatalf("%d accounts while the probes are sent, want 1", n)
		}
		if err := running.cmd.Process.Signal(by); err != nil {
			t.Fatal(err)
		}
		<-running.exited
		if want := map[bool]int{true: 1}[by == syscall.SIGKILL]; len(accounts(t, g)) != want {
			t.Errorf("after %s %d accounts are left, want %d", by, len(accounts(t, g)), want)
		}
	}
	way := viaOf(g, silent.Addr().String(), "", "")
	way.Timeout = 100 * time.Millisecond
	_, _ = way.Run(t.Context())
	if len(accounts(t, g)) != 1 {
		t.Error("a run takes the account of another that may still be under way")
	}
	way.Gate.Now = func() time.Time { return time.Now().Add(11 * time.Minute) }
	_, _ = way.Run(t.Context())
	leavesNobody(t, g)
}
