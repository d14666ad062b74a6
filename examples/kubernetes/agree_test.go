package kubernetes_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"devicegate/config"
	"devicegate/examples/schematest"
)

// TestGate starts from the configuration as the manifest has it: it is a valid one, and everything that a manifest
// names of the gate is there.
func TestGate(t *testing.T) {
	text := find(t, "gate.yaml", "ConfigMap", "devicegate").text("data", "devicegate.yaml")
	file := filepath.Join(t.TempDir(), "devicegate.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Source{File: file, FileRequired: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, policy := range namedPolicies(t) {
		if _, ok := cfg.Policies[policy]; !ok {
			t.Errorf("a manifest names the policy %q, which the gate does not have", policy)
		}
	}
	ports := portsOf(t)
	for name, address := range map[string]config.Address{
		"check-http": cfg.Checks.HTTP.Address, "check-grpc": cfg.Checks.GRPC.Address,
		"api": cfg.API.Address, "operations": cfg.Operations.Address,
	} {
		if _, port, _ := strings.Cut(address.Addr, ":"); port != ports[name] {
			t.Errorf("the gate listens on %s, and the pod's port %s is %s", address.Addr, name, ports[name])
		}
	}
}

// namedPolicies returns every policy that a manifest names on the gate's addresses.
func namedPolicies(t *testing.T) []string {
	t.Helper()
	named := regexp.MustCompile(`policy=(\w+)|/auth/envoy/(\w+)|name: policy, type: Value, value: (\w+)`)
	var policies []string
	for _, m := range manifests(t) {
		for _, match := range named.FindAllStringSubmatch(read(t, m.name), -1) {
			policies = append(policies, strings.Join(match[1:], ""))
		}
	}
	if len(policies) < 6 {
		t.Fatalf("only %v are named", policies)
	}
	return policies
}

func portsOf(t *testing.T) map[string]string {
	t.Helper()
	set := find(t, "gate.yaml", "StatefulSet", "devicegate")
	container := set.at("spec", "template", "spec", "containers").([]any)[0].(map[string]any)
	ports := map[string]string{}
	for _, p := range container["ports"].([]any) {
		port := p.(map[string]any)
		ports[port["name"].(string)] = strings.TrimSpace(toYAML(t, port["containerPort"]))
	}
	return ports
}

// TestOne: nothing here lets a second gate work on a store, or beside another one.
func TestOne(t *testing.T) {
	for _, o := range []object{find(t, "gate.yaml", "StatefulSet", "devicegate"), find(t, "sidecar.yaml", "Deployment", "web-with-gate")} {
		if o.at("spec", "replicas") != uint64(1) {
			t.Errorf("%s has %v replicas", o.id(), o.at("spec", "replicas"))
		}
	}
	if kind := find(t, "sidecar.yaml", "Deployment", "web-with-gate").text("spec", "strategy", "type"); kind != "Recreate" {
		t.Errorf("the sidecar's pod is replaced by %s", kind)
	}
}

// TestTraefik: the middlewares and routes are those that run in front of the real Traefik, apart from addresses and
// services; and the arguments in the manifest are its static configuration.
func TestTraefik(t *testing.T) {
	dynamic := readObjects(t, "../traefik/dynamic.yaml")[0]
	for _, name := range []string{"check-default", "check-staff", "strip-identity"} {
		got := find(t, "traefik.yaml", "Middleware", name).at("spec").(map[string]any)
		want := dynamic.at("http", "middlewares", name).(map[string]any)
		if diff := cmp.Diff(atGate(t, want), atGate(t, got)); diff != "" {
			t.Errorf("%s is not the tested one (-tested +manifest):\n%s", name, diff)
		}
	}
	tested, here := map[string]string{}, map[string]string{}
	for _, r := range dynamic.at("http", "routers").(map[string]any) {
		router := object(r.(map[string]any))
		tested[router.text("rule")] = toYAML(t, router.at("priority"))
	}
	for _, o := range []object{find(t, "traefik.yaml", "IngressRoute", "app"), find(t, "traefik.yaml", "IngressRoute", "gate")} {
		for _, r := range o.at("spec", "routes").([]any) {
			route := object(r.(map[string]any))
			here[route.text("match")] = toYAML(t, route.at("priority"))
		}
	}
	if diff := cmp.Diff(tested, here); diff != "" {
		t.Errorf("the rules or their priorities are not the tested ones (-tested +manifest):\n%s", diff)
	}
	if diff := cmp.Diff(entryPointArguments(t), argumentsIn(t, "traefik.yaml")); diff != "" {
		t.Errorf("the arguments are not the tested configuration (-tested +manifest):\n%s", diff)
	}
}

// atGate writes a middleware with the gate at one address.
func atGate(t *testing.T, spec map[string]any) string {
	t.Helper()
	return regexp.MustCompile(`http://[^/]+/`).ReplaceAllString(toYAML(t, spec), "http://gate/")
}

// entryPointArguments returns the entry point of the tested static configuration as Traefik takes it on its command line.
func entryPointArguments(t *testing.T) []string {
	t.Helper()
	static := readObjects(t, "../traefik/traefik.yaml")[0]
	var arguments []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		if m, ok := v.(map[string]any); ok {
			for name, member := range m {
				walk(path+"."+name, member)
			}
			return
		}
		arguments = append(arguments, path+"="+strings.TrimSpace(toYAML(t, v)))
	}
	walk("--entryPoints.web.http", static.at("entryPoints", "web", "http"))
	slices.Sort(arguments)
	return arguments
}

func argumentsIn(t *testing.T, file string) []string {
	t.Helper()
	arguments := regexp.MustCompile(`--entryPoints\.web\.http\.\S+`).FindAllString(read(t, file), -1)
	slices.Sort(arguments)
	return arguments
}

// TestIngressNginx: every annotation is one that the controller knows. It passes over others without a word, and with
// a misspelt auth-url everybody would be let in.
func TestIngressNginx(t *testing.T) {
	known := strings.Fields(read(t, "testdata/ingress-nginx-annotations.txt"))
	if !slices.Contains(known, "auth-url") || slices.Contains(known, "auth-uri") {
		t.Fatal("the list is not the controller's")
	}
	found := 0
	for _, o := range readObjects(t, "ingress-nginx.yaml") {
		annotations, _ := o.at("metadata", "annotations").(map[string]any)
		for name, value := range annotations {
			short, ours := strings.CutPrefix(name, "nginx.ingress.kubernetes.io/")
			if !ours || !slices.Contains(known, short) {
				t.Errorf("%s: the controller does not know %s", o.id(), name)
			}
			if _, isText := value.(string); !isText {
				t.Errorf("%s: %s is no text", o.id(), name)
			}
			found++
		}
	}
	if found < 4 {
		t.Errorf("only %d annotations", found)
	}
}

// TestEnvoysWords: what is refused and removed before the check is what the tested Envoy refuses and removes.
func TestEnvoysWords(t *testing.T) {
	tested := read(t, "../envoy/envoy_grpc.yaml")
	odd := regexp.MustCompile(`regex: ("\[a-z0-9:-\].*?")`).FindStringSubmatch(tested)
	paths := regexp.MustCompile(`regex: ('\(\?i\).*?')`).FindStringSubmatch(tested)
	if odd == nil || paths == nil {
		t.Fatal("examples/envoy has no such expressions any more")
	}
	for file, words := range map[string][]string{
		"envoy-gateway.yaml": {odd[1], paths[1], "[remote-user, remote-groups, remote-device]", "escapedSlashesAction: RejectRequest", "failOpen: false"},
		"istio.yaml": {odd[1], paths[1], "remove: remote-user", "remove: remote-groups", "remove: remote-device", "normalize_path: true", "merge_slashes: true",
			"path_with_escaped_slashes_action: REJECT_REQUEST", "headers_with_underscores_action: DROP_HEADER"},
		"mesh.yaml": {"failOpen: false"},
	} {
		for _, word := range words {
			if !strings.Contains(read(t, file), word) {
				t.Errorf("%s lacks %s", file, word)
			}
		}
	}
}

// TestNothingFailsOpen: no manifest lets anybody in while the gate does not answer.
func TestNothingFailsOpen(t *testing.T) {
	for _, m := range append(manifests(t), manifest{name: "mesh.yaml"}) {
		if regexp.MustCompile(`(?i)fail_?open: *true|failure_mode_allow: *true`).MatchString(read(t, m.name)) {
			t.Errorf("%s fails open", m.name)
		}
	}
}

// TestMesh: Istio's mesh configuration is no object with a schema; its members are those of the message in Istio's API.
func TestMesh(t *testing.T) {
	proto := string(schematest.File(t, "istio.io/api", "mesh/v1alpha1/config.proto"))
	provider := readObjects(t, "mesh.yaml")[0].at("extensionProviders").([]any)[0].(map[string]any)
	grpc := provider["envoyExtAuthzGrpc"].(map[string]any)
	message := regexp.MustCompile(`(?s)message EnvoyExternalAuthorizationGrpcProvider \{.*?\n  \}`).FindString(proto)
	for name := range grpc {
		snake := regexp.MustCompile(`[A-Z]`).ReplaceAllStringFunc(name, func(c string) string { return "_" + strings.ToLower(c) })
		if !regexp.MustCompile(`(?m)^ +[\w.]+ ` + snake + ` = \d+`).MatchString(message) {
			t.Errorf("EnvoyExternalAuthorizationGrpcProvider has no %s", name)
		}
	}
	if !strings.Contains(proto, "EnvoyExternalAuthorizationGrpcProvider envoy_ext_authz_grpc = ") {
		t.Error("ExtensionProvider has no envoyExtAuthzGrpc")
	}
	if policy := find(t, "istio.yaml", "AuthorizationPolicy", "devicegate"); policy.text("spec", "provider", "name") != provider["name"] {
		t.Errorf("the policy asks %q, and the mesh knows %q", policy.text("spec", "provider", "name"), provider["name"])
	}
}

// TestSidecar: the pod runs what examples/envoy runs.
func TestSidecar(t *testing.T) {
	text := read(t, "sidecar.yaml")
	for _, m := range regexp.MustCompile(`--from-file=(\S+)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", m[1])); err != nil {
			t.Errorf("the command names a file that is not there: %v", err)
		}
	}
	compose := read(t, "../envoy/compose.yaml")
	for _, image := range regexp.MustCompile(`image: ((?:envoyproxy|traefik)/\S+)`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(compose, "image: "+image[1]+"\n") {
			t.Errorf("%s is not the image of examples/envoy/compose.yaml", image[1])
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func toYAML(t *testing.T, v any) string {
	t.Helper()
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
