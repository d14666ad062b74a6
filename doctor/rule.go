package doctor

import (
	"cmp"
	"slices"

	"devicegate/doctor/syntax"
)

// Rule is one thing that is looked for in files.
type Rule struct {
	Code  string // of its findings
	Finds string // what it finds, in one sentence for the documentation
}

// say takes one finding of a rule: where, what gets through in one sentence, and the line to write.
type say func(at syntax.Place, problem, fix string)

// rule judges one model of a configuration.
type rule[T any] struct {
	code  string
	finds string
	judge func(model T, say say)
}

// Rules returns all rules, by code.
func Rules() []Rule {
	all := slices.Clone(readingRules)
	all = append(all, names(nginxRules)...)
	all = append(all, names(traefikRules)...)
	all = append(all, names(envoyRules)...)
	all = append(all, names(caddyRules)...)
	all = append(all, names(haproxyRules)...)
	all = append(all, names(gateRules)...)
	all = append(all, names(kubernetesRules)...)
	slices.SortFunc(all, func(a, b Rule) int { return cmp.Compare(a.Code, b.Code) })
	return all
}

func names[T any](rules []rule[T]) (all []Rule) {
	for _, r := range rules {
		all = append(all, Rule{r.code, r.finds})
	}
	return all
}

// apply has all rules of a product judge a model.
func apply[T any](r *reader, rules []rule[T], model T) {
	for _, one := range rules {
		r.rules++
		one.judge(model, func(at syntax.Place, problem, fix string) { r.find(one.code, at, problem, fix) })
	}
}

// ask is a place at which a proxy asks the gate by a policy. Empty: the gate's default for the endpoint.
type ask struct {
	syntax.Place
	policy string
}
