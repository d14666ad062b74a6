package api_test

import (
	"encoding/json"
	"fmt"
	"mime"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// page is openapi.yaml, and what answers are held against.
type page struct{ root map[string]any }

func readPage(t *testing.T) *page {
	t.Helper()
	raw, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	raw, err = yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	p := &page{}
	if err := json.Unmarshal(raw, &p.root); err != nil {
		t.Fatal(err)
	}
	return p
}

// member follows names through v and the references in it.
func (p *page) member(v any, names ...string) any {
	for _, name := range names {
		m, _ := p.resolve(v).(map[string]any)
		v = m[name]
	}
	return p.resolve(v)
}

func (p *page) resolve(v any) any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return v
	}
	return p.member(p.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// operations returns "METHOD /path" of every operation, in order.
func (p *page) operations() []string {
	var all []string
	for path, item := range p.member(p.root, "paths").(map[string]any) {
		for method := range item.(map[string]any) {
			if slices.Contains([]string{"get", "post", "put", "patch", "delete"}, method) {
				all = append(all, strings.ToUpper(method)+" "+path)
			}
		}
	}
	slices.Sort(all)
	return all
}

// operation returns the operation that answers, nil where the page has none.
func (p *page) operation(method, path string) any {
	path, _, _ = strings.Cut(path, "?")
	path = strings.TrimSuffix(path, "/")
	paths := p.member(p.root, "paths").(map[string]any)
	if item, literal := paths[path]; literal { // it counts before a template that matches as well
		return p.member(item, strings.ToLower(method))
	}
	for template, item := range paths {
		if matches(template, path) {
			if op := p.member(item, strings.ToLower(method)); op != nil {
				return op
			}
		}
	}
	return nil
}

func matches(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != got[i] {
			return false
		}
	}
	return true
}

// faults says where an answer is not what the page promises.
func (p *page) faults(method, path string, a answer) []string {
	faults := always(a)
	op := p.operation(method, path)
	if op == nil {
		if !slices.Contains([]int{204, 404, 405}, a.status) {
			faults = append(faults, "the page has no such operation")
		}
		return faults
	}
	response, ok := p.member(op, "responses", fmt.Sprint(a.status)).(map[string]any)
	if !ok {
		return append(faults, "the page does not name this status")
	}
	faults = append(faults, p.unwritten(response, a)...)
	content, _ := response["content"].(map[string]any)
	if content == nil {
		if len(a.body) > 0 || a.header.Get("Content-Type") != "" {
			faults = append(faults, "the page promises no body")
		}
		return faults
	}
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	promised, ok := content[media]
	if !ok {
		return append(faults, fmt.Sprintf("the page does not name the media type %q", media))
	}
	var body any
	if err := json.Unmarshal(a.body, &body); err != nil {
		return append(faults, err.Error())
	}
	return append(faults, p.validate(p.member(promised, "schema"), body, "body")...)
}

// unwritten says what headers and which code the answer has that the page does not name for it.
func (p *page) unwritten(response map[string]any, a answer) (faults []string) {
	for _, name := range []string{"Set-Cookie", "Location", "Retry-After", "WWW-Authenticate"} {
		if a.header.Get(name) != "" && p.member(response, "headers", name) == nil {
			faults = append(faults, "the page does not name the header "+name)
		}
	}
	if a.status < 400 {
		return faults
	}
	for _, example := range p.examples(p.member(response, "content", "application/problem+json")) {
		if p.member(example, "code") == a.code() {
			return faults
		}
	}
	return append(faults, "the page does not name the code "+a.code())
}

// examples returns the values of the one example, or of the named ones.
func (p *page) examples(content any) map[string]any {
	all := map[string]any{}
	if one := p.member(content, "example"); one != nil {
		all[""] = one
	}
	named, _ := p.member(content, "examples").(map[string]any)
	for name, example := range named {
		all[name] = p.member(example, "value")
	}
	return all
}

// always is what every answer owes its reader.
func always(a answer) (faults []string) {
	demand := func(ok bool, what string) {
		if !ok {
			faults = append(faults, what)
		}
	}
	demand(a.header.Get("Cache-Control") != "", "it may be cached")
	demand(a.header.Get("X-Content-Type-Options") == "nosniff", "its type may be guessed")
	if a.status >= 400 && len(a.body) > 0 {
		problem := decoded[struct{ Status int }](a)
		demand(a.header.Get("Content-Type") == "application/problem+json", "a refusal is no problem+json")
		demand(problem.Status == a.status, "the member status is another one")
	}
	demand(a.status != 401 || strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Bearer realm="devicegate"`), "401 without WWW-Authenticate")
	demand(a.status != 503 || a.header.Get("Retry-After") != "", "503 without Retry-After")
	demand(a.status != 405 || a.header.Get("Allow") != "", "405 without Allow")
	return faults
}

// validate covers the words of JSON Schema that the page uses; a member that a schema does not name is a
// fault also where the schema would let it pass, so that no answer says more than is written down.
func (p *page) validate(schema, v any, at string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	s := p.resolve(schema).(map[string]any)
	if types := typesOf(s["type"]); len(types) > 0 && !slices.Contains(types, typeOf(v)) {
		if typeOf(v) != "integer" || !slices.Contains(types, "number") {
			fault("it is of type %s, not %v", typeOf(v), types)
		}
	}
	switch v := v.(type) {
	case string:
		faults = append(faults, text(s, v, at)...)
	case []any:
		if limit, ok := s["maxItems"].(float64); ok && len(v) > int(limit) {
			fault("%d items", len(v))
		}
		for i, item := range v {
			faults = append(faults, p.validate(s["items"], item, fmt.Sprintf("%s/%d", at, i))...)
		}
	case map[string]any:
		properties, named := s["properties"].(map[string]any)
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				fault("the member %s is missing", name)
			}
		}
		for name, value := range v {
			if property, ok := properties[name]; ok {
				faults = append(faults, p.validate(property, value, at+"/"+name)...)
			} else if (named || s["additionalProperties"] == false) && !matchesOne(s["patternProperties"], name) {
				fault("the member %s is not written down", name)
			}
		}
	}
	return faults
}

func matchesOne(patterns any, name string) bool {
	all, _ := patterns.(map[string]any)
	for pattern := range all {
		if regexp.MustCompile(pattern).MatchString(name) {
			return true
		}
	}
	return false
}

func text(s map[string]any, v, at string) (faults []string) {
	n := utf8.RuneCountInString(v)
	if limit, ok := s["maxLength"].(float64); ok && n > int(limit) {
		faults = append(faults, at+": too long")
	}
	if limit, ok := s["minLength"].(float64); ok && n < int(limit) {
		faults = append(faults, at+": too short")
	}
	if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(v) {
		faults = append(faults, at+": it does not match "+pattern)
	}
	if _, err := time.Parse(time.RFC3339, v); s["format"] == "date-time" && (err != nil || !strings.HasSuffix(v, "Z")) {
		faults = append(faults, at+": it is no time in UTC")
	}
	return faults
}

func typesOf(v any) (types []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, one := range v {
			types = append(types, one.(string))
		}
	}
	return types
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
	}
	return "number"
}
