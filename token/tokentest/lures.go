package tokentest

import (
	"encoding/json"
	"strings"

	"devicegate/reason"
)

// lureAttacks: J4 and J5, the token names a place where its key would be found, in every member that a
// verifier could follow.
func (f *Forger) lureAttacks() []Attack {
	theirs := UnknownKey(f.Algorithm)
	claims, head := f.claims(), strings.TrimSuffix(f.Header(), "}")
	var list []Attack
	add := func(name, header string, claims Members, want reason.Reason) {
		list = append(list,
			Attack{name + ", signed with theirs", SignToken(theirs, header, claims.String()), unverified},
			Attack{name + ", signed with ours", f.Sign(header, claims.String()), want})
		if want == malformed {
			list[len(list)-2].Want = malformed
		}
	}
	for _, lure := range f.Lures {
		quoted := string(must(json.Marshal(lure)))
		add("kid "+lure, strings.Replace(f.Header(), `"`+f.ID+`"`, quoted, 1), claims, unverified)
		add("iss "+lure, f.Header(), claims.With("iss", quoted), unverified)
		for _, member := range []string{"jku", "x5u", "jwk", "x5c", "url", "iss"} {
			add(member+" "+lure, head+`,"`+member+`":`+quoted+"}", claims, malformed)
		}
	}
	return list
}
