package kubernetes_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"devicegate/examples/schematest"
)

// schemas are those of every kind that a cluster with all five controllers knows.
type schemas struct {
	compiler *jsonschema.Compiler
	kinds    map[string]string // "group/version, Kind" to the place of its schema
	rules    map[string]map[string]any
}

const core = "core.json"

func loadSchemas(t *testing.T) *schemas {
	t.Helper()
	s := &schemas{compiler: jsonschema.NewCompiler(), kinds: map[string]string{}, rules: map[string]map[string]any{}}
	s.addCore(t)
	for module, paths := range map[string][]string{
		"sigs.k8s.io/gateway-api":       {"config/crd/experimental/*.yaml"},
		"github.com/envoyproxy/gateway": {"charts/gateway-helm/charts/crds/crds/generated/*.yaml"},
		"github.com/traefik/traefik/v3": {"docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"},
		"istio.io/api":                  {"kubernetes/customresourcedefinitions.gen.yaml"},
	} {
		for _, path := range paths {
			files, _ := filepath.Glob(filepath.Join(schematest.Dir(t, module), filepath.FromSlash(path)))
			if len(files) == 0 {
				t.Fatalf("%s has no %s", module, path)
			}
			for _, file := range files {
				s.addDefinitions(t, file)
			}
		}
	}
	return s
}

// addCore takes Kubernetes' own kinds from its OpenAPI description.
func (s *schemas) addCore(t *testing.T) {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(schematest.File(t, "k8s.io/kubernetes", "api/openapi-spec/swagger.json"), &doc); err != nil {
		t.Fatal(err)
	}
	definitions := doc["definitions"].(map[string]any)
	for name, d := range definitions {
		definition := d.(map[string]any)
		kinds, _ := definition["x-kubernetes-group-version-kind"].([]any)
		for _, k := range kinds {
			s.kinds[kindOf(k.(map[string]any))] = core + "#/definitions/" + name
		}
		strict(definition)
	}
	s.add(t, core, map[string]any{"definitions": definitions})
}

func kindOf(k map[string]any) string {
	version := k["version"].(string)
	if group, _ := k["group"].(string); group != "" {
		version = group + "/" + version
	}
	return version + ", " + k["kind"].(string)
}

// addDefinitions takes the custom resources of a file.
func (s *schemas) addDefinitions(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range parse(t, file, content) {
		if crd.text("kind") != "CustomResourceDefinition" {
			continue
		}
		for _, v := range crd.at("spec", "versions").([]any) {
			version := v.(map[string]any)
			schema := object(version).at("schema", "openAPIV3Schema").(map[string]any)
			name := crd.text("spec", "group") + "/" + version["name"].(string) + ", " + crd.text("spec", "names", "kind")
			place := strings.NewReplacer("/", "_", ", ", "_").Replace(name) + ".json"
			s.rules[name] = schema
			copied := jsonCopy(t, schema)
			strict(copied)
			properties := copied["properties"].(map[string]any)
			properties["apiVersion"], properties["kind"] = map[string]any{"type": "string"}, map[string]any{"type": "string"}
			properties["metadata"] = map[string]any{"$ref": core + "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
			s.kinds[name] = place
			s.add(t, place, copied)
		}
	}
}

func (s *schemas) add(t *testing.T, place string, schema map[string]any) {
	t.Helper()
	if err := s.compiler.AddResource(place, jsonCopy(t, schema)); err != nil {
		t.Fatal(err)
	}
}

// jsonCopy gives a value the types that a JSON decoder gives.
func jsonCopy(t *testing.T, v map[string]any) map[string]any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonschema.UnmarshalJSON(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return decoded.(map[string]any)
}

// strict makes a schema refuse members that it does not name: a cluster drops those of a custom resource without
// a word, and a misspelt failOpen is none.
func strict(schema map[string]any) {
	if schema["format"] == "int-or-string" {
		delete(schema, "type")
		delete(schema, "format")
		schema["type"] = []any{"integer", "string"}
	}
	properties, has := schema["properties"].(map[string]any)
	if has && schema["additionalProperties"] == nil && schema["x-kubernetes-preserve-unknown-fields"] != true {
		schema["additionalProperties"] = false
	}
	for _, sub := range properties {
		strict(sub.(map[string]any))
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if sub, ok := schema[key].(map[string]any); ok {
			strict(sub)
		}
	}
}

// check returns the faults of an object.
func (s *schemas) check(t *testing.T, o object) error {
	t.Helper()
	place, ok := s.kinds[o.text("apiVersion")+", "+o.text("kind")]
	if !ok {
		return &unknownKind{o}
	}
	schema, err := s.compiler.Compile(place)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(jsonCopy(t, o)); err != nil {
		return err
	}
	return s.checkRules(t, o)
}

type unknownKind struct{ object }

func (e *unknownKind) Error() string {
	return "no controller knows " + e.text("apiVersion") + ", " + e.text("kind")
}

// TestSchemas holds every object against the schema of its kind.
func TestSchemas(t *testing.T) {
	s := loadSchemas(t)
	for _, m := range manifests(t) {
		for _, o := range m.objects {
			t.Run(m.name+" "+o.id(), func(t *testing.T) {
				if err := s.check(t, o); err != nil {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// TestSchemasRefuse shows that what a hand slips on is found: without it, TestSchemas could be content with anything.
func TestSchemasRefuse(t *testing.T) {
	s := loadSchemas(t)
	policy := find(t, "envoy-gateway.yaml", "SecurityPolicy", "staff")
	route := find(t, "gateway-api.yaml", "HTTPRoute", "app")
	for name, change := range map[string]struct {
		object object
		path   []string
		value  any
	}{
		"a misspelt member of a custom resource": {policy, []string{"spec", "extAuth", "failOpne"}, true},
		"a text for a truth value":               {policy, []string{"spec", "extAuth", "failOpen"}, "false"},
		"both ways of asking":                    {policy, []string{"spec", "extAuth", "http"}, map[string]any{"backendRefs": []any{map[string]any{"name": "devicegate", "port": 9280}}}},
		"a kind that nobody knows":               {policy, []string{"kind"}, "SecurityPolice"},
		"a misspelt member of the pod":           {find(t, "gate.yaml", "StatefulSet", "devicegate"), []string{"spec", "template", "spec", "automountServiceAccountTokens"}, false},
		"a name with capitals":                   {find(t, "traefik.yaml", "Middleware", "check-staff"), []string{"metadata", "labels"}, "none"},
		"a weekday for a port":                   {find(t, "gate.yaml", "Service", "devicegate"), []string{"spec", "ports"}, []any{map[string]any{"port": "monday"}}},
		"HTTP without its member":                {route, []string{"spec", "rules"}, []any{map[string]any{"filters": []any{map[string]any{"type": "ExternalAuth", "externalAuth": map[string]any{"protocol": "HTTP", "backendRef": map[string]any{"name": "devicegate", "port": 9280}}}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := object(jsonCopy(t, maps.Clone(change.object)))
			parent := changed.at(change.path[:len(change.path)-1]...).(map[string]any)
			parent[change.path[len(change.path)-1]] = change.value
			if err := s.check(t, changed); err == nil {
				t.Error("the schema takes it")
			}
		})
	}
}
