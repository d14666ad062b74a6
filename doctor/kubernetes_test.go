package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"devicegate/doctor"
)

// TestManifests changes one thing of sound manifests and compares all codes.
func TestManifests(t *testing.T) {
	for file, changes := range manifestChanges {
		for _, c := range append([]change{{title: "as it stands"}}, changes...) {
			t.Run(file+"/"+c.title, func(t *testing.T) {
				text := soundManifests[file]
				for pair := range slices.Chunk(append([]string{c.old, c.new}, c.more...), 2) {
					if !strings.Contains(text, pair[0]) {
						t.Fatalf("%q is not in it", pair[0])
					}
					if pair[0] != "" {
						text = strings.ReplaceAll(text, pair[0], pair[1])
					}
				}
				dir := write(t, map[string]string{file: text})
				report := doctor.Files([]string{dir}, doctor.Options{})
				if got := codes(report); !slices.Equal(got, sorted(c.codes)) {
					t.Errorf("%v, want %v\n%v", got, sorted(c.codes), report.Findings)
				}
				for _, f := range report.Findings {
					at, found := strings.CutPrefix(f.Where, filepath.Join(dir, file)+":")
					line, err := strconv.Atoi(at)
					if environment := strings.HasPrefix(f.Where, "DEVICEGATE_"); environment {
						continue
					}
					if !found || err != nil || line < 1 || line > strings.Count(text, "\n")+1 || f.Problem == "" || f.Fix == "" {
						t.Errorf("%+v", f)
					}
				}
			})
		}
	}
}

// TestManifestsTogether: what one file names is looked for in the others, those of Traefik's own kind too.
func TestManifestsTogether(t *testing.T) {
	all := map[string]string{}
	for file, text := range soundManifests {
		all[file] = text
	}
	if report := doctor.Files([]string{write(t, all)}, doctor.Options{}); len(report.Findings) > 0 || report.Asks < 9 || len(report.Read) != len(all) {
		t.Errorf("%d places ask, %d files read: %v", report.Asks, len(report.Read), report.Findings)
	}
	for _, c := range []struct {
		title string
		files map[string]string
		want  []string
	}{
		{"a policy that the gate does not know", map[string]string{"gate.yaml": strings.Replace(soundManifests["gate.yaml"], "staff: {", "other: {", 1), "traefik.yaml": soundManifests["traefik.yaml"]},
			[]string{"gate-policy-unknown", "gate-policy-unused"}},
		{"other names of the headers", map[string]string{"gate.yaml": strings.Replace(soundManifests["gate.yaml"], "        policies:", "        identity_headers: {user: X-Person}\n        policies:", 1), "gateway.json": soundManifests["gateway.json"]},
			[]string{"gate-policy-unused", "kubernetes-aliases", "kubernetes-identity-not-removed", "kubernetes-upstream-headers"}},
		{"Traefik's file beside its objects", map[string]string{"objects.yaml": strings.Replace(soundManifests["traefik.yaml"], "--entrypoints.web.address=:8000, --entryPoints.web.http.aliasHeadersStrategy=delete, ", "", 1),
			"traefik.yaml": "entryPoints: {web: {http: {aliasHeadersStrategy: delete, middlewares: [default-all@kubernetescrd]}}}\nproviders: {kubernetesCRD: {}}\n"}, nil},
		{"the same in a ConfigMap", map[string]string{"objects.yaml": strings.Replace(soundManifests["traefik.yaml"], "--entrypoints.web.address=:8000, --entryPoints.web.http.aliasHeadersStrategy=delete, ", "", 1),
			"more.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: t}\ndata:\n  traefik.yaml: |\n    entryPoints: {web: {http: {aliasHeadersStrategy: keep}}}\n"},
			append(threeTimes("traefik-identity-kept"), "traefik-aliases")},
		{"Envoy's configuration in a ConfigMap", map[string]string{"envoy.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e}\ndata:\n  envoy.json: |\n    " + strings.ReplaceAll(strings.Replace(sound["envoy.json"], `"filterEnabled"`, `"failureModeAllow": true, "filterEnabled"`, 1), "\n", "\n    ") + "\n"},
			[]string{"envoy-failure-mode-allow"}},
		{"routes without any check", map[string]string{"a.yaml": "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\n"}, []string{"asks-nobody"}},
	} {
		t.Run(c.title, func(t *testing.T) {
			report := doctor.Files([]string{write(t, c.files)}, doctor.Options{})
			if got := codes(report); !slices.Equal(got, sorted(c.want)) {
				t.Errorf("%v, want %v\n%v", got, c.want, report.Findings)
			}
		})
	}
}

// TestManifestsNotJudged: what is not judged is told on standard error, and is a finding where nothing else was named.
func TestManifestsNotJudged(t *testing.T) {
	const strange = "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\n"
	for _, c := range []struct{ title, text, want, skipped string }{
		{"nothing known", strange, "kubernetes-not-read", ""},
		{"a mesh that cannot be read", strings.Replace(soundManifests["istio.yaml"], "extensionProviders:", "extensionProviders: [", 1), "cannot-parse", "the provider gate is in no file"},
		{"no object at all", "apiVersion: v1\n---\n[]\n", "", "nothing in it"},
		{"something known", strange + "---\napiVersion: v1\nkind: Service\nmetadata: {name: a}\n", "", "nothing in it"},
		{"a route of another kind", "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a}\n", "", "objects of kind GRPCRoute"},
		{"Traefik without its arguments", soundManifests["traefik.yaml"][:strings.Index(soundManifests["traefik.yaml"], "---\napiVersion: apps/v1")], "traefik-identity-kept", "Traefik's arguments are in no file"},
		{"Istio without its mesh", soundManifests["istio.yaml"][strings.Index(soundManifests["istio.yaml"], "apiVersion: security"):], "kubernetes-path-cleaning", "the provider gate is in no file"},
		{"routes without their gateway", soundManifests["filter.yaml"], "", "the Gateway default/another is in no file"},
		{"Istio without its routes", soundManifests["istio.yaml"][:strings.Index(soundManifests["istio.yaml"], "---\napiVersion: networking.istio.io/v1\nkind: Gateway")], "", "the routes of the proxies"},
	} {
		t.Run(c.title, func(t *testing.T) {
			file := filepath.Join(write(t, map[string]string{"a.yaml": c.text}), "a.yaml")
			report := doctor.Files([]string{file}, doctor.Options{})
			if c.want == "" && len(report.Findings) > 0 || c.want != "" && !slices.Contains(codes(report), c.want) {
				t.Errorf("%v, want %q", report.Findings, c.want)
			}
			if skipped := strings.Join(report.Skipped, "\n"); !strings.Contains(skipped, c.skipped) || c.skipped == "" && skipped != "" {
				t.Errorf("not judged: %q, want %q", skipped, c.skipped)
			}
		})
	}
	folder := write(t, map[string]string{"a.yaml": strange, "traefik.yaml": soundManifests["traefik.yaml"]})
	if report := doctor.Files([]string{folder}, doctor.Options{}); len(report.Findings) > 0 || !slices.ContainsFunc(report.Skipped, func(s string) bool { return strings.Contains(s, "a.yaml: ") }) {
		t.Errorf("a folder: %v, not judged: %q", report.Findings, report.Skipped)
	}
}

// TestLargeManifests: what says the same again and again is judged soon, or is told to be left out.
func TestLargeManifests(t *testing.T) {
	const route = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a%d}\nspec:\n  parentRefs:\n%s  rules:\n%s---\n"
	parents := "  - &p {name: g}\n" + strings.Repeat("  - *p\n", 2000)
	rules := "  - &r\n    backendRefs:\n    - &b {name: a}\n" + strings.Repeat("    - *b\n", 2000) + strings.Repeat("  - *r\n", 2000)
	var many strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&many, route, i, "  - {name: g}\n", "  - {matches: [{path: {type: RegularExpression, value: .*}}], filters: [{extensionRef: {kind: HTTPRouteFilter, name: f}}]}\n  - {backendRefs: [{name: a}]}\n")
	}
	for title, c := range map[string]struct{ text, want string }{
		"rules":   {fmt.Sprintf(route, 0, "  - {name: g}\n", rules), "cannot-parse"},
		"parents": {fmt.Sprintf(route, 0, parents, "  - &r {backendRefs: [{name: a}]}\n"+strings.Repeat("  - *r\n", 2000)), "asks-nobody"},
		"routes": {many.String() + "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g}\n---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: SecurityPolicy\n" +
			"metadata: {name: a}\nspec: {targetRefs: [{kind: HTTPRoute, name: a0}], extAuth: {grpc: {backendRefs: [{name: gate}]}}}\n---\n" +
			"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: HTTPRouteFilter\nmetadata: {name: f}\nspec: {directResponse: {statusCode: 400}}\n", "kubernetes-gateway-open"},
	} {
		t.Run(title, func(t *testing.T) {
			report := doctor.Files([]string{write(t, map[string]string{"a.yaml": c.text})}, doctor.Options{})
			if !slices.Contains(codes(report), c.want) {
				t.Errorf("%d findings, none of them %s: %.300v", len(report.Findings), c.want, report.Findings)
			}
		})
	}
}

// TestManifestsFromStandardInput: as kubectl prints them, whatever their ConfigMaps hold.
func TestManifestsFromStandardInput(t *testing.T) {
	const haproxy = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  haproxy.cfg: |\n    frontend web\n      bind :80\n  gate.lua: core.register_action()\n---\n"
	for file, text := range soundManifests {
		if file != "gateway.json" {
			text = haproxy + strings.TrimPrefix(text, "\n")
		}
		if report := doctor.Files([]string{"-"}, doctor.Options{Stdin: strings.NewReader(text)}); len(report.Findings) > 0 || report.Rules == 0 {
			t.Errorf("%s: %v", file, report.Findings)
		}
	}
}

// TestManifestsPlaces: the gate's configuration has the lines of the manifest that it stands in.
func TestManifestsPlaces(t *testing.T) {
	for title, text := range map[string]string{
		"below its key": soundManifests["gate.yaml"],
		"on one line":   `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"devicegate.yaml": "policies: {staff: {require_roles: [staff]}}"}}`,
	} {
		text = strings.Replace(text, "require_roles", "require_role", 1)
		line := 1 + strings.Count(text[:strings.Index(text, "require_role:")], "\n")
		file := filepath.Join(write(t, map[string]string{"a.yaml": text}), "a.yaml")
		report := doctor.Files([]string{file}, doctor.Options{})
		if want := fmt.Sprintf("%s:%d", file, line); len(report.Findings) != 1 || report.Findings[0].Where != want || report.Findings[0].Code != "gate-config" {
			t.Errorf("%s: %v, want %s", title, report.Findings, want)
		}
	}
}

// TestManifestsOfExamples: the manifests of this project are clean, together, each by itself, and as the way in has them.
func TestManifestsOfExamples(t *testing.T) {
	const folder = "../examples/kubernetes"
	if report := doctor.Files([]string{folder}, doctor.Options{}); len(report.Findings) > 0 || report.Asks != 9 {
		t.Errorf("%d places ask: %v", report.Asks, report.Findings)
	}
	files, err := filepath.Glob(folder + "/*.yaml")
	if err != nil || len(files) < 9 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for _, paths := range [][]string{{file}, {folder + "/gate.yaml", file}} {
			for _, f := range doctor.Files(paths, doctor.Options{}).Findings {
				// One Gateway API route alone goes by a policy of the gate that no other has.
				if f.Code != "gate-policy-unused" {
					t.Errorf("%v: %v", paths, f)
				}
			}
		}
	}
}

// TestManifestsWithoutTheirLines takes each line out of the examples that they cannot do without.
func TestManifestsWithoutTheirLines(t *testing.T) {
	for _, c := range []struct{ file, old, new, want string }{
		{"gate.yaml", "replicas: 1  ", "replicas: 2  ", "kubernetes-gate-replicas"},
		{"sidecar.yaml", "replicas: 1  ", "replicas: 2  ", "kubernetes-gate-replicas"},
		{"sidecar.yaml", "strategy: {type: Recreate}", "strategy: {}", "kubernetes-gate-replicas"},
		{"traefik.yaml", "middlewares: [{name: strip-identity}]", "middlewares: []", "traefik-identity-on-open"},
		{"traefik.yaml", "middlewares: [{name: check-staff}]", "middlewares: []", "traefik-check-unused"},
		{"traefik.yaml", "- kind: Rule\n      match: PathRegexp", "- kind: Rule\n      match: Path", "traefik-dot-segment"},
		{"traefik.yaml", "authResponseHeadersRegex: (?i)^remote[^a-z0-9]*(user|groups|device)$", "authResponseHeaders: [Remote-User, Remote-Groups, Remote-Device]", "traefik-identity-kept"},
		{"ingress-nginx.yaml", "Remote-User,Remote-Groups,Remote-Device", "Remote-User", "kubernetes-ingress-identity-kept"},
		{"envoy-gateway.yaml", "failOpen: false", "failOpen: true", "kubernetes-fail-open"},
		{"envoy-gateway.yaml", "kind: HTTPRoute, name: staff", "kind: HTTPRoute, name: stuff", "kubernetes-target-missing"},
		{"envoy-gateway.yaml", "remove: [remote-user, remote-groups, remote-device]", "remove: [remote-user]", "kubernetes-identity-not-removed"},
		{"envoy-gateway.yaml", `value: "[a-z0-9:-]*[^a-z0-9:-].*"`, `value: "x"`, "kubernetes-aliases"},
		{"envoy-gateway.yaml", "escapedSlashesAction: RejectRequest", "escapedSlashesAction: KeepUnchanged", "kubernetes-path-cleaning"},
		{"envoy-gateway.yaml", "statusCode: 400", "statusCode: 200", "kubernetes-path-refusal"},
		{"envoy-gateway.yaml", "{type: RegularExpression, value: /staff.*}", "{type: PathPrefix, value: /staff}", "kubernetes-strict-path"},
		{"envoy-gateway.yaml", "contextExtensions:\n      - {name: policy, type: Value, value: staff}", "timeout: 1s", "kubernetes-policy-not-named"},
		{"gateway-api.yaml", "path: /auth/envoy/staff", "path: /auth/envoy", "kubernetes-path-prefix"},
		{"gateway-api.yaml", "allowedHeaders: [x-forwarded-for, ", "allowedHeaders: [", "kubernetes-allowed-headers"},
		{"istio.yaml", "notPaths: [/open/*, /gate/*]", "notPaths: [/open*]", "kubernetes-istio-paths"},
		{"istio.yaml", "INSERT_FIRST", "ADD", "kubernetes-identity-not-removed"},
		{"istio.yaml", "- remove_on_match:", "- other:", "kubernetes-aliases"},
		{"istio.yaml", "merge_slashes: true", "merge_slashes: false", "kubernetes-path-cleaning"},
		{"istio.yaml", "directResponse: {status: 400}", "directResponse: {status: 200}", "kubernetes-path-refusal"},
		{"mesh.yaml", "failOpen: false", "failOpen: true", "kubernetes-fail-open"},
	} {
		content, err := os.ReadFile(filepath.Join("../examples/kubernetes", c.file))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(content), c.old, c.new)
		if text == string(content) {
			t.Errorf("%s: %q is not in it", c.file, c.old)
		}
		if report := doctor.Files([]string{write(t, map[string]string{c.file: text})}, doctor.Options{}); !slices.Contains(codes(report), c.want) {
			t.Errorf("%s without %s: %v, want %s", c.file, c.old, report.Findings, c.want)
		}
	}
}
