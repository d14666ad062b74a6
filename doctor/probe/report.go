package probe

import (
	"fmt"
	"slices"

	"devicegate/doctor"
)

// report judges everything that was played. Only now: a copy of a request may arrive after its answer.
func (r *run) report() Report {
	for _, x := range r.played {
		for _, v := range append(x.holds(r, x), r.tellsNobody(x)...) {
			if v.code == "" {
				v.code = x.code
			}
			r.finding(v.code, x.where(), v.saw)
		}
	}
	return Report{Findings: withoutConsequences(oncePerCode(r.found)), Unproved: slices.Compact(r.unproved), Requests: len(r.played) + r.looks}
}

// consequences are what a finding brings with it, and what goes when it is mended. Told as well, they would hide it.
var consequences = map[string][]string{
	"open-without-token": {"bad-token-passes", "two-tokens-pass", "options-pass", "method-from-client", "target-from-client", "upgrade-without-token", "host-unchecked",
		"path-unchecked", "path-escapes-open", "open-route-too-wide", "policy-from-query", "policy-by-spelling", "policy-not-applied", "decision-kept", "ended-device-passes",
		"gate-not-asked", "identity-missing", "connection-drops-identity"},
	"policy-not-applied": {"policy-by-spelling", "policy-from-query"},
	"identity-missing":   {"connection-drops-identity"},
}

func withoutConsequences(found []doctor.Finding) []doctor.Finding {
	var kept []doctor.Finding
	for _, f := range found {
		if !slices.ContainsFunc(found, func(cause doctor.Finding) bool { return slices.Contains(consequences[cause.Code], f.Code) }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// oncePerCode keeps the first finding of each code and says how many more probes showed it.
func oncePerCode(found []doctor.Finding) []doctor.Finding {
	var kept []doctor.Finding
	more := map[string]int{}
	for _, f := range found {
		if slices.ContainsFunc(kept, func(k doctor.Finding) bool { return k.Code == f.Code }) {
			more[f.Code]++
			continue
		}
		kept = append(kept, f)
	}
	for i, f := range kept {
		if more[f.Code] > 0 {
			kept[i].Where = fmt.Sprintf("%s and %d more", f.Where, more[f.Code])
		}
	}
	return kept
}
