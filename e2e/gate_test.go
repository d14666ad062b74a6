package e2e_test

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const passphrase = "correct horse battery staple"

// gate is a running devicegate.
type gate struct {
	log     *output
	process *process
	dir     string            // where it runs, and keeps its store
	config  string            // its configuration file
	address map[string]string // of each listener, by its name
	via     string            // the proxy that calls of the API go through; empty: none
}

// decision is the line that the gate logs for a check.
type decision struct {
	Message  string `json:"message"`
	Adapter  string `json:"adapter"`
	Policy   string `json:"policy"`
	Outcome  string `json:"outcome"`
	Reason   string `json:"reason"`
	Status   int    `json:"status"`
	User     string `json:"user"`
	ClientIP string `json:"client_ip"`
	Method   string `json:"method"`
	Host     string `json:"host"`
	Path     string `json:"path"`
}

// startGate runs the service with the configuration of an example, on free ports and on the store in
// dir.
func startGate(t *testing.T, dir, example string) *gate {
	t.Helper()
	copyExample(t, example, "devicegate.yaml", dir, gateLiterals)
	return runGate(t, dir)
}

// runGate runs the service with the devicegate.yaml in dir.
func runGate(t *testing.T, dir string) *gate {
	t.Helper()
	g := &gate{dir: dir, config: filepath.Join(dir, "devicegate.yaml")}
	cmd := exec.Command(service, "serve", "--config", g.config)
	cmd.Dir = g.dir
	// All people of the tests sign in from one address.
	cmd.Env = append(cmd.Environ(), "DEVICEGATE_API_SIGN_IN_RATE=100000/1s")
	p := startProcess(t, cmd)
	g.log, g.process = p.log, p
	if !eventually(patience, func() bool { return g.ready() || !p.running() }) || !g.ready() {
		t.Fatalf("the gate did not get ready:\n%s", g.log)
	}
	return g
}

// ready reads the listeners' addresses from the log and reports whether the gate says it is ready.
func (g *gate) ready() bool {
	g.address = map[string]string{}
	done := false
	g.eachLine(func(line []byte) {
		var l struct{ Listener, Address, Message string }
		if json.Unmarshal(line, &l) != nil {
			return
		}
		switch l.Message {
		case "listening":
			g.address[l.Listener] = l.Address
		case "ready":
			done = true
		}
	})
	return done
}

func (g *gate) eachLine(visit func([]byte)) {
	for line := range bytes.Lines([]byte(g.log.String())) {
		visit(line)
	}
}

// decisions returns the checks whose logged path contains part.
func (g *gate) decisions(part string) []decision {
	var all []decision
	g.eachLine(func(line []byte) {
		var d decision
		if json.Unmarshal(line, &d) == nil && d.Message == "check" && strings.Contains(d.Path, part) {
			all = append(all, d)
		}
	})
	return all
}

// waitDecision waits for the line of a check that has been answered already.
func (g *gate) waitDecision(t *testing.T, part string) decision {
	t.Helper()
	var found []decision
	if !eventually(patience, func() bool { found = g.decisions(part); return len(found) > 0 }) {
		t.Fatalf("the gate logged no check of a path with %s", part)
	}
	return found[len(found)-1]
}

// addUser makes a user as an operator does: through the admin socket, or in the store where no gate
// runs.
func (g *gate) addUser(t *testing.T, name string, roles ...string) {
	t.Helper()
	args := []string{"user", "add", name, "--password-stdin", "-c", g.config, "-o", "json"}
	for _, role := range roles {
		args = append(args, "--role", role)
	}
	cmd := exec.Command(service, args...)
	cmd.Dir = g.dir
	cmd.Stdin = strings.NewReader(passphrase + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("devicegate user add %s: %v\n%s", name, err, out)
	}
}

// session is what a sign-in gives.
type session struct {
	Access  string `json:"access"`
	Refresh string `json:"refresh"`
	Device  string `json:"device_uid"`
}

// signIn opens a device for the user.
func (g *gate) signIn(t *testing.T, name string) session {
	t.Helper()
	var s session
	status := g.call(t, http.MethodPost, "/api/token", "", map[string]string{"username": name, "password": passphrase}, &s)
	if status != http.StatusOK || s.Access == "" || s.Device == "" {
		t.Fatalf("signing %s in: status %d, %+v", name, status, s)
	}
	return s
}

// client calls from where the tests' clients are.
var client = &http.Client{Timeout: patience, Transport: &http.Transport{
	DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientIP)}}).DialContext,
}}

var basePath = regexp.MustCompile(`base_path: (\S+)`)

// basePath is that of the gate's API.
func (g *gate) basePath(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	found := basePath.FindSubmatch(content)
	if found == nil {
		t.Fatalf("the configuration names no base path:\n%s", content)
	}
	return string(found[1])
}

// call makes a call of the API, below its base path, and returns the status. The
// caller lies about its address, as anybody may.
func (g *gate) call(t *testing.T, method, path, token string, in, out any) int {
	t.Helper()
	body := &bytes.Buffer{}
	if in != nil {
		if err := json.NewEncoder(body).Encode(in); err != nil {
			t.Fatal(err)
		}
	}
	at := g.address["api"]
	if g.via != "" {
		at = g.via
	}
	r, err := http.NewRequest(method, "http://"+at+g.basePath(t)+path, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if out != nil && answer.StatusCode < 300 {
		if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return answer.StatusCode
}

// deleteDevice ends device in the name of another device's token.
func (g *gate) deleteDevice(t *testing.T, token, device string) {
	t.Helper()
	if status := g.call(t, http.MethodDelete, "/trusted-devices/"+device, token, nil, nil); status != http.StatusNoContent {
		t.Fatalf("deleting device %s: status %d", device, status)
	}
}
