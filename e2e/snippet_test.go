package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// snippetNames are what devicegate snippet calls the products.
var snippetNames = map[string]string{
	"traefik": "traefik", "nginx": "nginx", "envoy_http": "envoy-http", "envoy_grpc": "envoy", "caddy": "caddy", "haproxy": "haproxy",
}

// snippetPorts are those of testdata/snippets, which the snippet has to have written, and what the harness looks
// for in an example in order to replace it.
var snippetPorts = strings.NewReplacer("127.0.0.1:7000", "127.0.0.1:9000", "127.0.0.1:7280", "127.0.0.1:9280", "127.0.0.1:7281", "127.0.0.1:9281",
	"127.0.0.1:7282", "127.0.0.1:9282", "127.0.0.1:7283", "127.0.0.1:9283",
	"port_value: 7000", "port_value: 9000", "port_value: 7280", "port_value: 9280", "port_value: 7281", "port_value: 9281", "port_value: 7282", "port_value: 9282")

// writeSnippet runs devicegate snippet into dir.
func writeSnippet(t *testing.T, p product, dir, config string, environment []string, more ...string) {
	t.Helper()
	args := append([]string{"snippet", snippetNames[p.name], "-c", config, "--dir", dir}, more...)
	cmd := exec.Command(service, args...)
	cmd.Env = append(cmd.Environ(), environment...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("devicegate %q: %v\n%s", args, err, out)
	}
}

// ofSnippet returns the product with what devicegate snippet writes for testdata/snippets in place of its
// example. What is the operator's comes from the example.
func (p product) ofSnippet(t *testing.T) product {
	t.Helper()
	dir := t.TempDir()
	copyExample(t, absolute(t, "testdata/snippets"), "devicegate.yaml", dir, nil)
	copyFrame(t, p, dir)
	writeSnippet(t, p, dir, filepath.Join(dir, "devicegate.yaml"), nil, "--upstream", "127.0.0.1:7000")
	judge(t, p, dir)
	for _, file := range append([]string{"devicegate.yaml"}, p.files...) { // by the ports that the harness knows
		path := filepath.Join(dir, file)
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, []byte(snippetPorts.Replace(string(content))), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	p.example, p.renamed = dir, true
	return p
}

// copyFrame copies what an operator has and no snippet writes.
func copyFrame(t *testing.T, p product, dir string) {
	t.Helper()
	if p.name == "nginx" {
		copyExample(t, p.example, "nginx.conf", dir, nil)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The names of the identity headers in the examples, in testdata/snippets, and every spelling of them.
var (
	exampleName = regexp.MustCompile(`(?i)\bremote([^a-z0-9])(user|groups|device|assertion)\b`)
	exampleOnly = regexp.MustCompile(`(?i)^remote([^a-z0-9]*)(user|groups|device|assertion)$`)
	renamedOnly = regexp.MustCompile(`(?i)^x[^a-z0-9]*auth([^a-z0-9]*)(user|groups|device|assertion)$`)
)

// rename writes the identity headers of a case as the product has them.
func (p product) rename(header string) string {
	if !p.renamed {
		return header
	}
	return exampleName.ReplaceAllString(header, "X${1}Auth${1}${2}")
}

// renameBack lets the checks of the cases find what they look for. A header of the examples becomes another one: it
// must not pass for what the snippet should have written.
func (p product) renameBack(x *exchange) {
	if !p.renamed {
		return
	}
	back := func(name string) string {
		if exampleOnly.MatchString(name) {
			return "not-renamed-" + name
		}
		return renamedOnly.ReplaceAllString(name, "Remote${1}${2}")
	}
	for i, r := range x.seen {
		x.seen[i].headers = nil
		for _, h := range r.headers {
			name, value, _ := strings.Cut(h, ":")
			x.seen[i].headers = append(x.seen[i].headers, back(name)+":"+value)
		}
	}
	header := http.Header{}
	for name, values := range x.header {
		header[back(name)] = values
	}
	x.header = header
}

// TestSnippets plays the cases of identity, token, device and policy on what devicegate snippet writes for a
// configuration unlike that of the examples. The examples, which the same templates make, have the whole table.
func TestSnippets(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			needProgram(t, p.program)
			b := startBench(t, p.ofSnippet(t))
			play := func(prefix string, cases ...testCase) {
				for _, c := range cases {
					if _, mine := c.want[p.name]; mine {
						t.Run(prefix+c.title, func(t *testing.T) { c.run(t, b) })
					}
				}
			}
			play("", snippetCases()...)
			play("", slices.Concat(lightCases(basicCases()), tokenCases(), withoutSend(identityCases()), metadataCases(), pathCases(), deviceCases())...)
			for _, under := range policyCases() {
				b.gate.demand(t, under.policy)
				play(strings.Trim(under.policy, "{}")+", ", under.cases...)
			}
		})
	}
}

// lightCases leaves out the bodies of 10 MB, in which no value of a snippet plays a part.
func lightCases(cases []testCase) []testCase {
	return slices.DeleteFunc(cases, func(c testCase) bool { return len(c.body) > 1e6 })
}

// withoutSend leaves out the cases that change texts of an example.
func withoutSend(cases []testCase) []testCase {
	return slices.DeleteFunc(cases, func(c testCase) bool { return c.send != nil })
}

// snippetCases are about what the configuration in testdata/snippets has and the examples do not.
func snippetCases() []testCase {
	const asBob = "Authorization: Bearer {bob}"
	spoof := []string{"Remote-Assertion: evil", "Remote~Assertion: evil", "X-Auth~User: evil", "X~Auth-User: evil", "xauth~groups: evil", asAlice}
	forbidden := everywhere(refused("role_missing"))
	all := []testCase{
		{title: "the token is kept from the backend", headers: []string{asAlice}, want: everywhere(passes()), check: seesNoToken},
		{title: "so it is in a nested location", line: "GET /ws/{id}", headers: []string{asAlice}, want: everywhere(passes()), check: seesNoToken},
		{title: "another policy lets it through", line: "GET /staff/{id}", headers: []string{asBob}, want: everywhere(passes()), check: seesToken},
		{title: "a policy whose path begins with another's", line: "GET /staff.2_b-c/{id}", headers: []string{asAlice}, want: everywhere(passes()), check: seesNoToken},
		{title: "that one is not asked", line: "GET /staff.2_b-c/{id}", headers: []string{asBob}, want: forbidden},
		{title: "a dot is a dot", line: "GET /staffx2_b-c/{id}", headers: []string{asAlice}, want: forbidden},
		{title: "nobody is a guest", line: "GET /guests/{id}", headers: spoofed, want: everywhere(outcome{200, "anonymous", true}), check: seesNobody},
		{title: "spellings of longer names", headers: spoof, want: everywhere(passes()), check: seesAssertion},
		{title: "spellings of longer names, on the open route", line: "GET /open/{id}", headers: spoof, want: everywhere(isOpen()), check: seesNothingSaid},
	}
	for _, path := range []string{"/-open", "/-account", "/null", "/1e3"} {
		all = append(all,
			testCase{title: path + ", the role missing", line: "GET " + path + "/{id}", headers: []string{asAlice}, want: forbidden},
			testCase{title: path + ", the role held", line: "GET " + path + "/{id}", headers: []string{asBob}, want: everywhere(passes())})
	}
	return all
}

// seesToken: the backend can act in the client's name.
func seesToken(t *testing.T, _ *bench, x exchange) {
	t.Helper()
	if got := x.seen[0].values("Authorization"); len(got) != 1 {
		t.Errorf("the backend was sent Authorization: %q, want it once", got)
	}
}

// seesAssertion: the signed identity is the gate's.
func seesAssertion(t *testing.T, b *bench, x exchange) {
	seesAlice(t, b, x)
	got := x.seen[0].values("Remote-Assertion")
	if len(got) != 1 || strings.Count(got[0], ".") != 2 {
		t.Errorf("the assertion at the backend is %q, want one signed text", got)
	}
	nothingEvil(t, x)
}

// seesNothingSaid: an open route hands nothing on that the client says of himself.
func seesNothingSaid(t *testing.T, b *bench, x exchange) {
	seesNobody(t, b, x)
	nothingEvil(t, x)
}

func nothingEvil(t *testing.T, x exchange) {
	t.Helper()
	for _, h := range x.seen[0].headers {
		if strings.Contains(h, "evil") {
			t.Errorf("the backend was sent %q", h)
		}
	}
}
