package kubernetes_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// checkRules evaluates the x-kubernetes-validations of a custom resource's schema. Rules about the object as it was before
// (oldSelf) say nothing about one that is new.
func (s *schemas) checkRules(t *testing.T, o object) error {
	t.Helper()
	schema, ok := s.rules[o.text("apiVersion")+", "+o.text("kind")]
	if !ok {
		return nil
	}
	env, err := cel.NewEnv(cel.Variable("self", cel.DynType), cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(), ext.TwoVarComprehensions(), cel.CrossTypeNumericComparisons(true))
	if err != nil {
		t.Fatal(err)
	}
	r := ruleRun{t: t, env: env}
	r.walk(schema, forRules(defaulted(schema, jsonCopy(t, o))), o.id())
	if len(r.faults) > 0 {
		return fmt.Errorf("%s", strings.Join(r.faults, "\n"))
	}
	return nil
}

type ruleRun struct {
	t      *testing.T
	env    *cel.Env
	faults []string
}

// walk goes through a schema and the value it is of, side by side.
func (r *ruleRun) walk(schema map[string]any, value any, where string) {
	rules, _ := schema["x-kubernetes-validations"].([]any)
	for _, rule := range rules {
		r.evaluate(object(rule.(map[string]any)), value, where)
	}
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		more, _ := schema["additionalProperties"].(map[string]any)
		for name, member := range v {
			if sub, ok := properties[name].(map[string]any); ok {
				r.walk(sub, member, where+"."+name)
			} else if more != nil {
				r.walk(more, member, where+"."+name)
			}
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for i, item := range v {
				r.walk(items, item, fmt.Sprintf("%s[%d]", where, i))
			}
		}
	}
}

func (r *ruleRun) evaluate(rule object, self any, where string) {
	text := rule.text("rule")
	if strings.Contains(text, "oldSelf") {
		return
	}
	ast, issues := r.env.Compile(text)
	if issues.Err() != nil {
		r.t.Fatalf("%s: the rule %q cannot be read: %v", where, text, issues.Err())
	}
	program, err := r.env.Program(ast)
	if err != nil {
		r.t.Fatal(err)
	}
	result, _, err := program.Eval(map[string]any{"self": self})
	if err != nil || result.Value() != true {
		r.faults = append(r.faults, fmt.Sprintf("%s: %s (%q: %v %v)", where, rule.text("message"), text, result, err))
	}
}

// defaulted fills in the defaults of the schema, as a cluster does before it looks at the rules.
func defaulted(schema map[string]any, value any) any {
	switch v := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for name, sub := range properties {
			sub := sub.(map[string]any)
			if _, there := v[name]; !there && sub["default"] != nil {
				v[name] = sub["default"]
			}
			if member, there := v[name]; there {
				v[name] = defaulted(sub, member)
			}
		}
	case []any:
		if items, ok := schema["items"].(map[string]any); ok {
			for i := range v {
				v[i] = defaulted(items, v[i])
			}
		}
	}
	return value
}

// forRules turns whole numbers into those that CEL compares with its own, and gives members whose names are words of CEL
// the names that rules call them by.
func forRules(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, member := range v {
			out[name] = forRules(member)
			if name == "namespace" {
				out["__namespace__"] = out[name]
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = forRules(item)
		}
		return out
	case uint64:
		return int64(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	default:
		return v
	}
}
