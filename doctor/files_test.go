package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"devicegate/config"
	"devicegate/doctor"
)

// TestEveryFileIsJudged: what is not judged is told, whatever the reason; nothing is clean for want of reading.
func TestEveryFileIsJudged(t *testing.T) {
	nginx := sound["nginx.conf"]
	for _, c := range []struct {
		title string
		files map[string]string
		args  []string // in the folder of the files; the folder itself where there are none
		proxy string
		want  []string
	}{
		{title: "a folder", files: map[string]string{"nginx.conf": nginx, "README.md": "nothing", "key.pem": "nothing", ".hidden": "nothing"}},
		{title: "a file that is not there", args: []string{"none.conf"}, want: []string{"cannot-read"}},
		{title: "an empty file", files: map[string]string{"x": ""}, want: []string{"unknown-kind"}},
		{title: "a file of nothing known", files: map[string]string{"x.yaml": "a: b\n"}, want: []string{"unknown-kind"}},
		{title: "binary", files: map[string]string{"x": "\x7fELF\x00\x01"}, want: []string{"unknown-kind"}},
		{title: "broken YAML", files: map[string]string{"x.yaml": "a: [b\n"}, want: []string{"cannot-parse"}},
		{title: "not UTF-8", files: map[string]string{"x.yaml": "checks: \xff\n"}, want: []string{"cannot-parse"}},
		{title: "an alias of nothing", files: map[string]string{"x.yaml": "http: *x\n"}, want: []string{"cannot-parse"}},
		{title: "the kind by name", files: map[string]string{"x": nginx}, proxy: "nginx"},
		{title: "the wrong kind", files: map[string]string{"x": nginx}, proxy: "haproxy", want: []string{"cannot-parse"}},
		{title: "the kind of a proxy, and the gate", files: map[string]string{"n": nginx, "devicegate.yaml": "checks: {}\n"}, proxy: "nginx"},
		{title: "a part", files: map[string]string{"part.conf": "internal;\nproxy_pass http://x;\n"}, args: []string{"part.conf"}, want: []string{"nginx-no-server"}},
		{title: "a part that is included", files: map[string]string{"nginx.conf": strings.Replace(nginx, "location / {", "include parts/*.conf; location / {", 1), "parts/one.conf": "add_header X y;\n"}},
		{title: "a part of which the danger is", files: map[string]string{"nginx.conf": strings.Replace(nginx, "location / {", "include parts/*.conf; location / {", 1), "parts/one.conf": "satisfy any;\n"}, want: []string{"nginx-satisfy-any"}},
		{title: "a part whose kind is not seen", files: map[string]string{"nginx.conf": strings.Replace(nginx, "location / {", "include odd; location / {", 1), "odd": "satisfy any;\n"}, want: []string{"nginx-satisfy-any"}},
		{title: "parts that include each other", files: map[string]string{"nginx.conf": nginx + "include a.conf;\n", "a.conf": "include a.conf;\n"}, want: []string{"include-missing"}},
		{title: "servers of sites that are not enabled", files: map[string]string{"nginx.conf": nginx, "sites-available/old": "server { listen 9; satisfy any; auth_request /x; }\n"}},
		{title: "the same named", files: map[string]string{"nginx.conf": nginx, "old": "server { listen 9; satisfy any; auth_request /x; }\n"}, args: []string{"nginx.conf", "old"},
			want: []string{"nginx-check-unknown", "nginx-satisfy-any"}},
		{title: "static names dynamic", files: map[string]string{"traefik.yaml": "entryPoints: {web: {address: ':80'}}\nproviders: {file: {filename: missing.yaml}}\n"}, args: []string{"traefik.yaml"},
			want: []string{"include-missing", "traefik-aliases", "traefik-encoded-characters", "traefik-encoded-characters", "traefik-encoded-characters", "traefik-encoded-characters", "traefik-encoded-characters", "traefik-encoded-characters", "traefik-encoded-characters"}},
		{title: "Kubernetes", files: map[string]string{"a.yaml": "apiVersion: example.com/v1\nkind: Thing\n"}, args: []string{"a.yaml"}, want: []string{"kubernetes-not-read"}},
		{title: "compose", files: map[string]string{"compose.yaml": "services: {app: {image: x}}\n"}, want: []string{"nothing-read"}},
		{title: "a folder with nothing of it", files: map[string]string{"README.md": "nothing"}, want: []string{"nothing-read"}},
		{title: "compose with labels", files: map[string]string{"compose.yaml": "services: {app: {labels: [traefik.http.routers.a.rule=Path(`/`)]}}\n"}, want: []string{"compose-not-read"}},
	} {
		t.Run(c.title, func(t *testing.T) {
			dir := write(t, c.files)
			paths := []string{dir}
			if c.args != nil {
				paths = nil
				for _, a := range c.args {
					paths = append(paths, filepath.Join(dir, a))
				}
			}
			report := doctor.Files(paths, doctor.Options{Proxy: c.proxy})
			if got := codes(report); !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v\n%v", got, c.want, report.Findings)
			}
			for _, f := range report.Findings {
				if !strings.HasPrefix(f.Where, dir) || f.Problem == "" || f.Fix == "" {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

// TestStandardInput: each kind is seen without a name, and so is what nginx -T prints.
func TestStandardInput(t *testing.T) {
	dump := "# configuration file /etc/nginx/nginx.conf:\nevents {}\nhttp {\n    include conf.d/*.conf;\n}\n\n# configuration file /etc/nginx/conf.d/a.conf:\n" +
		"server {\n    auth_request /x;\n    satisfy any;\n}\n"
	for title, c := range map[string]struct{ text, want, where string }{
		"nginx":    {sound["nginx.conf"], "", ""},
		"nginx -T": {dump, "nginx-satisfy-any", "/etc/nginx/conf.d/a.conf:3"},
		"TOML":     {sound["traefik.toml"], "", ""},
		"JSON":     {sound["envoy.json"], "", ""},
		"Caddy":    {sound["Caddyfile"], "", ""},
		"HAProxy":  {sound["haproxy.cfg"], "include-missing", "standard input:3"},
		"the gate": {"checks: {}\n", "cannot-read", "standard input:1"},
		"nothing":  {"", "unknown-kind", "standard input:1"},
	} {
		report := doctor.Files([]string{"-"}, doctor.Options{Stdin: strings.NewReader(c.text)})
		found := c.want == "" && len(report.Findings) == 0
		for _, f := range report.Findings {
			found = found || f.Code == c.want && f.Where == c.where
		}
		if !found {
			t.Errorf("%s: %v", title, report.Findings)
		}
	}
	for title, o := range map[string]doctor.Options{"none": {}, "broken": {Stdin: iotest.ErrReader(os.ErrClosed)}, "huge": {Stdin: endless{}}} {
		if got := codes(doctor.Files([]string{"-"}, o)); !slices.Equal(got, []string{"cannot-read"}) {
			t.Errorf("%s: %v", title, got)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestGate judges the gate's configuration, and what the proxies ask beside it.
func TestGate(t *testing.T) {
	asking := func(policy string) string {
		return strings.Replace(sound["nginx.conf"], "/auth/nginx;", "/auth/nginx?policy="+policy+";", 1)
	}
	for _, c := range []struct{ title, gate, policy, code, line string }{
		{"sound", "policies: {staff: {require_roles: [staff]}}\n", "staff", "", ""},
		{"behind TLS", "checks: {http: {address: ':9280', tls: {cert_file: c.pem, key_file: k.pem}}}\n", "default", "", ""},
		{"a fault", "checks:\n  htpp: {}\n", "default", "gate-config", "2"},
		{"unknown", "policies:\n  default: {}\n", "staf", "gate-policy-unknown", ""},
		{"unused", "policies:\n  default: {}\n  staff: {}\n", "default", "gate-policy-unused", "3"},
		{"the policy of gRPC", "policies: {staff: {}}\nchecks: {grpc: {policy: staff}}\n", "default", "", ""},
		{"report", "policies:\n  staff:\n    require_roles: [a]\n    mode: report\n", "staff", "gate-report-mode", "4"},
		{"peers", "checks:\n  allowed_peers:\n    - 203.0.0.0/16\n", "default", "gate-allowed-peers", "2"},
		{"peers of a network of one's own", "checks: {allowed_peers: [10.0.0.0/8, 'fd00::/8', 203.0.113.0/24]}\n", "default", "", ""},
		{"checks in the clear", "checks:\n  http:\n    address: 0.0.0.0:9280\n", "default", "gate-plain-listener", "3"},
		{"gRPC in the clear", "checks: {grpc: {address: '10.0.0.1:9281'}}\n", "default", "gate-plain-listener", "1"},
		{"the API in the clear", "api: {address: ':9282'}\n", "default", "gate-plain-listener", "1"},
	} {
		dir := write(t, map[string]string{"devicegate.yaml": c.gate, "nginx.conf": asking(c.policy)})
		report := doctor.Files([]string{dir}, doctor.Options{})
		var got string
		if len(report.Findings) == 1 && report.Findings[0].Code == c.code && (c.line == "" || report.Findings[0].Where == filepath.Join(dir, "devicegate.yaml")+":"+c.line) {
			got = c.code
		}
		if got != c.code || c.code == "" && len(report.Findings) > 0 {
			t.Errorf("%s: %v", c.title, report.Findings)
		}
	}
}

// TestConfig: the configuration that the options name is judged, gives the names, and wins over one among the
// files only where somebody asked for it.
func TestConfig(t *testing.T) {
	renamed := "identity_headers: {user: X-Person}\n"
	dir := write(t, map[string]string{"one/devicegate.yaml": "checks: {}\n", "one/nginx.conf": sound["nginx.conf"], "two/devicegate.yaml": renamed})
	files, other := []string{filepath.Join(dir, "one")}, filepath.Join(dir, "two", "devicegate.yaml")
	for _, c := range []struct {
		config config.Source
		want   []string
	}{
		{config.Source{}, nil},
		{config.Source{File: other}, nil},
		{config.Source{File: other, FileRequired: true}, []string{"nginx-identity-not-set", "nginx-identity-not-set"}},
		{config.Source{File: other, FileRequired: true, Environ: []string{"DEVICEGATE_IDENTITY_HEADERS_USER=Remote-User"}}, nil},
		{config.Source{File: other, FileRequired: true, Environ: []string{"DEVICEGATE_IDENTITY_HEADERS_USER=Remote-User", "DEVICEGATE_IDENTITY_HEADERS_ASSERTION=Remote-Assertion"}},
			[]string{"nginx-identity-not-set", "nginx-identity-not-set"}},
		{config.Source{File: filepath.Join(dir, "none"), FileRequired: true}, []string{"gate-config"}},
	} {
		if got := codes(doctor.Files(files, doctor.Options{Config: c.config})); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.config, got, c.want)
		}
	}
	if report := doctor.Files([]string{other}, doctor.Options{}); len(report.Findings) > 0 {
		t.Errorf("a configuration of the gate alone: %v", report.Findings)
	}
}

// TestOnlyRegularFiles: opening a pipe would wait for its writer.
func TestOnlyRegularFiles(t *testing.T) {
	if got := codes(doctor.Files([]string{os.DevNull}, doctor.Options{})); !slices.Equal(got, []string{"cannot-read"}) {
		t.Errorf("%v", got)
	}
}

// TestIncludesWithoutAnEnd: files that include each other are told, and do not grow for ever.
func TestIncludesWithoutAnEnd(t *testing.T) {
	for title, files := range map[string]map[string]string{
		"nginx, a circle":       {"nginx.conf": sound["nginx.conf"] + "include a;\n", "a": "include a;\n"},
		"nginx, many times":     {"nginx.conf": sound["nginx.conf"] + "include a;\n", "a": strings.Repeat("include b;\n", 100), "b": strings.Repeat("include c;\n", 100), "c": strings.Repeat("include d;\n", 100), "d": "user x;\n"},
		"Caddy, a circle":       {"Caddyfile": sound["Caddyfile"] + "import a\n", "a": "import a\n"},
		"Caddy, a snippet":      {"Caddyfile": "(a) {\n\timport a\n\timport a\n}\n" + sound["Caddyfile"] + "third.example {\n\timport a\n}\n"},
		"Caddy, many times":     {"Caddyfile": sound["Caddyfile"] + "import a\n", "a": strings.Repeat("import b\n", 100), "b": strings.Repeat("import c\n", 100), "c": strings.Repeat("import d\n", 100), "d": "\n"},
		"Caddy, snippets twice": {"Caddyfile": snippets(30) + sound["Caddyfile"]},
	} {
		dir := write(t, files)
		main := "nginx.conf"
		if files[main] == "" {
			main = "Caddyfile"
		}
		if got := codes(doctor.Files([]string{filepath.Join(dir, main)}, doctor.Options{})); !slices.Equal(got, []string{"include-missing"}) {
			t.Errorf("%s: %v", title, got)
		}
	}
}

// snippets import each other, each the one before it twice.
func snippets(n int) string {
	var b strings.Builder
	b.WriteString("(s0) {\n\tencode gzip\n}\n")
	for i := range n {
		fmt.Fprintf(&b, "(s%d) {\n\timport s%d\n\timport s%d\n}\n", i+1, i, i)
	}
	fmt.Fprintf(&b, "fourth.example {\n\timport s%d\n}\n", n)
	return b.String()
}

// TestTooManyFiles: what is left out of a folder with very many files is told.
func TestTooManyFiles(t *testing.T) {
	files := map[string]string{"nginx.conf": strings.Replace(sound["nginx.conf"], "http {", "http {\n    include many/*.conf;", 1)}
	for i := range 2001 {
		files[fmt.Sprintf("many/%04d.conf", i)] = "# nothing\n"
	}
	if got := codes(doctor.Files([]string{filepath.Join(write(t, files), "nginx.conf")}, doctor.Options{})); !slices.Contains(got, "include-missing") {
		t.Errorf("%v", got)
	}
}

// TestOneFileByTwoNames: the gate's configuration is one, by whatever path it is named.
func TestOneFileByTwoNames(t *testing.T) {
	dir := write(t, map[string]string{"nginx.conf": sound["nginx.conf"], "devicegate.yaml": "policies: {staff: {require_roles: [staff]}}\n"})
	t.Chdir(dir)
	gate := filepath.Join(dir, "devicegate.yaml")
	got := codes(doctor.Files([]string{"nginx.conf", "devicegate.yaml"}, doctor.Options{Config: config.Source{File: gate, FileRequired: true}}))
	if !slices.Equal(got, []string{"gate-policy-unused"}) {
		t.Errorf("%v", got)
	}
}
