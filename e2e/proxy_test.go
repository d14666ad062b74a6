package e2e_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A literal is text of an example file that the tests replace. Only the literals listed here are
// replaced, nothing else in the files differs from what people use; a literal that is not found
// fails the test.
type literal struct{ file, old, new string }

// gateLiterals are replaced in every devicegate.yaml: each listener takes a free port.
var gateLiterals = []literal{
	{"devicegate.yaml", "127.0.0.1:9280", "127.0.0.1:0"}, // checks over HTTP
	{"devicegate.yaml", "127.0.0.1:9281", "127.0.0.1:0"}, // checks over gRPC
	{"devicegate.yaml", "127.0.0.1:9282", "127.0.0.1:0"}, // the API
	{"devicegate.yaml", "127.0.0.1:9283", "127.0.0.1:0"}, // operations
}

// product is one of the six ways in which a proxy asks the gate.
type product struct {
	name    string // of the adapter
	program string
	example string   // folder below examples/, or any other by its absolute path
	files   []string // of the proxy's configuration
	grpc    bool
	command func(program string, dir string) *exec.Cmd
	// literals returns what is replaced, given the ports of proxy, backend, checks and API.
	literals func(proxy, backend, checks, api string) []literal

	// renamed says that the identity headers are X-Auth-User and so on: the cases, which write Remote-User, are
	// played with these.
	renamed bool
}

var products = []product{
	{
		name: "traefik", program: "traefik", example: "traefik", files: []string{"traefik.yaml", "dynamic.yaml"},
		command: func(program, _ string) *exec.Cmd { return exec.Command(program, "--configFile=traefik.yaml") },
		literals: func(proxy, backend, checks, api string) []literal {
			return []literal{
				{"traefik.yaml", `":8080"`, `"127.0.0.1:` + proxy + `"`},
				{"dynamic.yaml", "127.0.0.1:9000", "127.0.0.1:" + backend},
				{"dynamic.yaml", "127.0.0.1:9280", "127.0.0.1:" + checks},
				{"dynamic.yaml", "127.0.0.1:9282", "127.0.0.1:" + api},
			}
		},
	},
	{
		name: "nginx", program: "nginx", example: "nginx",
		files: []string{"nginx.conf", "devicegate.conf", "devicegate_check.conf", "devicegate_protected.conf", "devicegate_open.conf"},
		command: func(program, dir string) *exec.Cmd {
			// One process, so that ending it ends all of nginx.
			return exec.Command(program, "-p", dir, "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off; master_process off;")
		},
		literals: func(proxy, backend, checks, api string) []literal {
			return []literal{
				{"devicegate.conf", "listen 8080;", "listen 127.0.0.1:" + proxy + ";"},
				{"devicegate.conf", "127.0.0.1:9000", "127.0.0.1:" + backend},
				{"devicegate.conf", "127.0.0.1:9280", "127.0.0.1:" + checks},
				{"devicegate.conf", "127.0.0.1:9282", "127.0.0.1:" + api},
			}
		},
	},
	envoy("envoy_http", "9280", false),
	envoy("envoy_grpc", "9281", true),
	caddy,
	haproxy,
}

func envoy(name, checksPort string, grpc bool) product {
	file := name + ".yaml"
	return product{
		name: name, program: "envoy", example: "envoy", files: []string{file}, grpc: grpc,
		command: func(program, _ string) *exec.Cmd {
			return exec.Command(program, "-c", file, "--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
		},
		literals: func(proxy, backend, checks, api string) []literal {
			return []literal{
				{file, "address: 0.0.0.0, port_value: 8080", "address: 127.0.0.1, port_value: " + proxy},
				{file, "port_value: 9000", "port_value: " + backend},
				{file, "port_value: " + checksPort, "port_value: " + checks},
				{file, "port_value: 9282", "port_value: " + api},
			}
		},
	}
}

// copyExample writes one file of an example to dir, with its literals replaced.
func copyExample(t *testing.T, example, file, dir string, literals []literal) {
	t.Helper()
	if !filepath.IsAbs(example) {
		example = filepath.Join("..", "examples", example)
	}
	content, err := os.ReadFile(filepath.Join(example, file))
	if err != nil {
		t.Fatal(err)
	}
	text := string(content)
	for _, l := range literals {
		if l.file != file {
			continue
		}
		if !strings.Contains(text, l.old) {
			t.Fatalf("%s/%s: the tests replace %q, which is not there", example, file, l.old)
		}
		text = strings.ReplaceAll(text, l.old, l.new)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startProxy runs a proxy with its example's files and returns its address. changes are made before
// the ports are filled in. checks and api are host:port.
func startProxy(t *testing.T, p product, backend, checks, api string, changes ...literal) string {
	t.Helper()
	program := needProgram(t, p.program)
	for range 3 { // a free port may be taken by somebody else before the proxy has it
		port := freePort(t)
		dir := t.TempDir()
		literals := append(append([]literal(nil), changes...),
			p.literals(port, portOf(backend), portOf(checks), portOf(api))...)
		for _, file := range p.files {
			copyExample(t, p.example, file, dir, literals)
		}
		cmd := p.command(program, dir)
		cmd.Dir = dir
		proxy := startProcess(t, cmd)
		addr := "127.0.0.1:" + port
		if eventually(patience, func() bool { return !proxy.running() || leadsOn(t, addr) }) && proxy.running() {
			return addr
		}
		t.Logf("%s did not start on port %s:\n%s", p.name, port, tail(proxy.log.String(), 4000))
		proxy.stop()
	}
	t.Fatalf("%s does not start", p.name)
	return ""
}

// leadsOn reports whether the open route leads to the backend yet.
func leadsOn(t *testing.T, addr string) bool {
	if !listening(addr) {
		return false
	}
	return sendRaw(t, clientIP, addr, "GET /open/ready HTTP/1.1\r\nHost: app.example\r\n\r\n", time.Second).status == 200
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
