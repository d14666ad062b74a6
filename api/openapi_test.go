package api_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"devicegate/api"
)

func TestEachOperationHasARouteAndEachRouteAnOperation(t *testing.T) {
	parameter := regexp.MustCompile(`:(\w+)`)
	var routes []string
	for _, r := range api.Operations() {
		routes = append(routes, parameter.ReplaceAllString(r, "{$1}"))
	}
	slices.Sort(routes)
	if diff := cmp.Diff(readPage(t).operations(), routes); diff != "" {
		t.Errorf("openapi.yaml and the routes differ (-page +routes):\n%s", diff)
	}
}

// TestOperationsSayWhatEveryOneNeeds: a call with a body can be refused for it, one with a token for that.
func TestOperationsSayWhatEveryOneNeeds(t *testing.T) {
	p := readPage(t)
	seen := map[any]bool{}
	for _, name := range p.operations() {
		method, path, _ := strings.Cut(name, " ")
		op := p.operation(method, path)
		id := p.member(op, "operationId")
		if id == nil || seen[id] {
			t.Errorf("%s: operationId %v is missing or used twice", name, id)
		}
		seen[id] = true
		var demanded []string
		if p.member(op, "requestBody") != nil {
			demanded = append(demanded, "400", "413", "415")
		}
		if p.member(op, "security") == nil { // then also a body that is not named is looked at
			demanded = append(demanded, "400", "401", "413", "415", "503")
		}
		if strings.HasPrefix(path, "/admin/") {
			demanded = append(demanded, "400", "401", "403", "413", "415", "503")
		}
		for _, status := range demanded {
			if p.member(op, "responses", status) == nil {
				t.Errorf("%s does not name %s", name, status)
			}
		}
	}
}

func TestExamplesFollowTheirSchemas(t *testing.T) {
	p := readPage(t)
	n := 0
	var walk func(at string, v any)
	walk = func(at string, v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				walk(at, one)
			}
		case map[string]any:
			for name, example := range p.examples(v) {
				if v["schema"] == nil {
					break
				}
				n++
				for _, fault := range p.validate(v["schema"], example, at+"/"+name) {
					t.Error(fault)
				}
			}
			for name, one := range v {
				walk(at+"/"+name, one)
			}
		}
	}
	walk("", p.root)
	if n == 0 {
		t.Error("the page has no example")
	}
}

func TestReferencesLeadSomewhere(t *testing.T) {
	p := readPage(t)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, one := range v {
				walk(one)
			}
		case map[string]any:
			if ref, ok := v["$ref"]; ok && p.resolve(v) == nil {
				t.Errorf("%v leads nowhere", ref)
			}
			for _, one := range v {
				walk(one)
			}
		}
	}
	walk(p.root)
}

func TestOpenAPIAnswersThePage(t *testing.T) {
	g := start(t)
	a := g.want(200, call{method: "GET", path: "/openapi.json"})
	var got map[string]any
	if err := json.Unmarshal(a.body, &got); err != nil {
		t.Fatalf("GET /openapi.json is no JSON: %v", err)
	}
	if diff := cmp.Diff(g.page.root, got); diff != "" {
		t.Errorf("GET /openapi.json is not openapi.yaml (-page +answer):\n%s", diff)
	}
}

// TestValidatorRefuses keeps the tests above honest: a validator that accepts everything proves nothing.
func TestValidatorRefuses(t *testing.T) {
	p := readPage(t)
	for _, c := range []struct{ schema, value string }{
		{"Tokens", `{}`},
		{"Tokens", `{"access":"a","refresh":"r","device_uid":"d","token_type":"Bearer","expires_in":"900"}`},
		{"Tokens", `{"access":"a","refresh":"r","device_uid":"d","token_type":"Bearer","expires_in":900,"more":1}`},
		{"RevokeAllResult", `{"revoked_count":1.5,"kept_count":0}`},
		{"Empty", `{"a":1}`},
		{"UserPage", `{"results":[{}],"next":null}`},
		{"NewUser", `{"name":"a","roles":["UPPER"]}`},
		{"NewUser", `{"name":""}`},
		{"User", `{"id":"a","name":"a","roles":[],"disabled":false,"created_at":"2026-01-01T00:00:00+01:00","last_sign_in_at":null}`},
	} {
		var v any
		if err := json.Unmarshal([]byte(c.value), &v); err != nil {
			t.Fatal(err)
		}
		if p.validate(p.member(p.root, "components", "schemas", c.schema), v, "") == nil {
			t.Errorf("%s takes %s", c.schema, c.value)
		}
	}
}
