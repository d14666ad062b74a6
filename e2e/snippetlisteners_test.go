package e2e_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"devicegate/certificate/certificatetest"
)

// listenWay is a way in which a gate listens, other than TCP in the clear.
type listenWay struct {
	name   string
	config func(t *testing.T, p product, dir string) string // its devicegate.yaml
	flags  func(p product) []string                         // of devicegate snippet
	files  []string                                         // that the comment of the snippet asks for
	fits   func(p product) bool
}

const listenersConfig = `store: {path: devicegate.db}
checks:
  http: {%s}
  grpc: {%s}
  allowed_peers: [127.0.0.1]
api:
  base_path: /gate
  %s
operations: {address: 127.0.0.1:0}
trusted_proxies: [127.0.0.1]
policies:
  staff: {require_roles: [staff]}
`

func listenWays() []listenWay {
	return []listenWay{
		{
			name: "unix sockets",
			config: func(_ *testing.T, _ product, dir string) string {
				at := func(name string) string { return "address: unix:" + filepath.Join(dir, name) }
				return fmt.Sprintf(listenersConfig, at("http.sock"), at("grpc.sock"), at("api.sock"))
			},
			flags: func(product) []string { return nil },
			fits:  func(p product) bool { return p.name != "traefik" }, // whose refusal is a unit test
		},
		{
			name:   "TLS",
			config: secureConfig,
			flags: func(p product) []string {
				if p.name == "traefik" {
					return []string{"--server-name", "localhost"} // it connects to the name
				}
				return []string{"--server-name", "gate.example"}
			},
			files: []string{"devicegate_ca.pem", "devicegate_client.pem", "devicegate_client.key"},
			fits:  func(product) bool { return true },
		},
	}
}

// secureConfig makes an authority and its certificates in dir, and demands one of whoever asks, but of HAProxy, which
// has none to show.
func secureConfig(t *testing.T, p product, dir string) string {
	ca := certificatetest.Authority(t, "authority")
	of := func(name string) string { return filepath.Join(dir, name) }
	server := ca.Issue(t, "gate", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "localhost") })
	client := ca.Issue(t, "proxy", certificatetest.For(x509.ExtKeyUsageClientAuth))
	certificatetest.Write(t, of("devicegate_ca.pem"), ca.CertPEM)
	certificatetest.Write(t, of("devicegate_client.pem"), client.CertPEM)
	certificatetest.Write(t, of("devicegate_client.key"), client.KeyPEM)
	cert, key := server.Write(t, dir)
	proven := fmt.Sprintf("cert_file: %s, key_file: %s", cert, key)
	asked := proven
	if p.name != "haproxy" {
		asked += ", client_ca_file: " + of("devicegate_ca.pem")
	}
	checks := "address: 127.0.0.1:0, tls: {" + asked + "}"
	return fmt.Sprintf(listenersConfig, checks, checks, "address: 127.0.0.1:0\n  tls: {"+proven+"}")
}

// TestSnippetListeners: what is written for a gate that speaks TLS, or listens on unix sockets, is accepted by the
// real proxy and asks the real gate; and a gate that cannot prove itself is not believed.
func TestSnippetListeners(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		for _, l := range listenWays() {
			if !l.fits(p) {
				continue
			}
			t.Run(p.name+"/"+l.name, func(t *testing.T) {
				t.Parallel()
				needProgram(t, p.program)
				l.play(t, p)
			})
		}
	}
}

func (l listenWay) play(t *testing.T, p product) {
	dir := gateDir(t)
	certificatetest.Write(t, filepath.Join(dir, "devicegate.yaml"), []byte(l.config(t, p, dir)))
	b := &bench{product: p, backend: startBackend(t), gate: runGate(t, dir)}
	b.relay = startRelay(t, b.gate.address["operations"]) // nothing goes through it
	b.product = l.snippet(t, b, l.flags(p)...)
	b.addr = startProxy(t, b.product, b.backend.addr, "", "")
	b.gate.via = b.addr
	b.gate.addUser(t, "alice", "editors")
	b.alice = b.gate.signIn(t, "alice")
	for _, c := range []testCase{
		{title: "nobody", want: everywhere(refused("no_token"))},
		{title: "somebody", headers: append(slices.Clone(spoofed), asAlice), want: everywhere(passes()), check: seesAlice},
		{title: "without the role", line: "GET /staff/{id}", headers: []string{asAlice}, want: everywhere(refused("role_missing"))},
	} {
		t.Run(c.title, func(t *testing.T) { c.run(t, b) })
	}
	if len(l.files) == 0 {
		return
	}
	t.Run("another authority", func(t *testing.T) {
		other := certificatetest.Authority(t, "somebody")
		certificatetest.Write(t, filepath.Join(b.example, "devicegate_ca.pem"), other.CertPEM)
		l.unbelieved(t, b)
	})
	if p.name != "traefik" { // which connects to the name, and so finds nobody
		t.Run("another name", func(t *testing.T) {
			other := *b
			other.product = l.snippet(t, b, "--server-name", "other.example")
			l.unbelieved(t, &other)
		})
	}
}

// unbelieved: neither a check nor a sign-in gets anywhere.
func (l listenWay) unbelieved(t *testing.T, b *bench) {
	t.Helper()
	other := *b
	other.addr = startProxy(t, b.product, b.backend.addr, "", "")
	if x := other.as(t, b.alice.Access, b.id()); x.status < 500 || len(x.seen) > 0 {
		t.Errorf("with a token: status %d, seen %d times; want a 5xx and none", x.status, len(x.seen))
	}
	g := *b.gate
	g.via = other.addr
	if status := g.call(t, "POST", "/api/token", "", map[string]string{"username": "alice", "password": passphrase}, nil); status < 500 {
		t.Errorf("signing in: status %d, want a 5xx", status)
	}
}

// snippet writes a snippet with the addresses that the gate has taken, and has the proxy judge it.
func (l listenWay) snippet(t *testing.T, b *bench, flags ...string) product {
	t.Helper()
	p, dir := products[slices.IndexFunc(products, func(p product) bool { return p.name == b.name })], t.TempDir()
	copyFrame(t, p, dir)
	environment := []string{
		"DEVICEGATE_CHECKS_HTTP_ADDRESS=" + addressOf(b.gate, "checks.http"),
		"DEVICEGATE_CHECKS_GRPC_ADDRESS=" + addressOf(b.gate, "checks.grpc"),
		"DEVICEGATE_API_ADDRESS=" + addressOf(b.gate, "api"),
	}
	writeSnippet(t, p, dir, b.gate.config, environment, append(flags, "--upstream", b.backend.addr)...)
	for _, file := range l.files {
		content, err := os.ReadFile(filepath.Join(b.gate.dir, file))
		if err != nil {
			t.Fatal(err)
		}
		certificatetest.Write(t, filepath.Join(dir, file), content)
	}
	judge(t, p, dir)
	p.files = append(slices.Clone(p.files), l.files...)
	return p.listening(dir)
}

// addressOf returns an address as a configuration has it.
func addressOf(g *gate, listener string) string {
	if at := g.address[listener]; !strings.HasPrefix(at, "/") {
		return at
	}
	return "unix:" + g.address[listener]
}

// TestSnippetOddNames: names that are words of somebody's language are accepted by the real proxy, which then leads
// to the backend.
func TestSnippetOddNames(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, p.program)
			backend, dir := startBackend(t), t.TempDir()
			copyFrame(t, p, dir)
			writeSnippet(t, p, dir, "../snippet/testdata/odd/devicegate.yaml", nil, "--upstream", backend.addr, "--policy", "a..b--c__d")
			judge(t, p, dir)
			startProxy(t, p.listening(dir), backend.addr, "", "")
		})
	}
}

// listening returns the product with the files in dir, of which nothing is replaced but where the proxy listens.
func (p product) listening(dir string) product {
	all := p.literals
	p.example = dir
	p.literals = func(proxy, backend, checks, api string) []literal {
		return slices.DeleteFunc(all(proxy, backend, checks, api), func(l literal) bool { return !strings.Contains(l.old, "8080") })
	}
	return p
}

// judge has the proxy itself say whether it takes the files in dir. Traefik has no command for it.
func judge(t *testing.T, p product, dir string) {
	t.Helper()
	command, has := map[string][]string{
		"nginx":   {"-t", "-p", dir, "-c", "nginx.conf", "-e", "stderr"},
		"envoy":   {"--mode", "validate", "--log-level", "error", "-c", p.files[0]},
		"caddy":   {"validate", "--config", "Caddyfile", "--adapter", "caddyfile"},
		"haproxy": {"-c", "-f", "haproxy.cfg"},
	}[p.program]
	if !has {
		return
	}
	cmd := exec.Command(needProgram(t, p.program), command...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s does not take the snippet: %v\n%s", p.name, err, out)
	}
}
