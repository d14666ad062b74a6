package foreign_test

import (
	"crypto/sha256"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"devicegate/reason"
)

// TestInspectSaysWhatVerifyDoes: over the table of attacks on each voice, with the cause where the reason has several,
// and without a trace.
func TestInspectSaysWhatVerifyDoes(t *testing.T) {
	causes := map[reason.Reason]bool{malformed: true, unverified: true, wrongType: true, noKeys: true}
	const share = 5 // the voices are alike, and signatures take their time
	voices := 0
	eachVoice(t, func(t *testing.T, g *gate, v voice) {
		voices++
		for n, a := range append(attacks(g, v), attack{"honest", v.honest(), reason.OK}) {
			if n%share != voices%share && a.want != reason.OK {
				continue
			}
			kept := g.issuers.CacheLen()
			said, theirs := g.issuers.Inspect(a.raw)
			if g.issuers.CacheLen() != kept {
				t.Fatalf("%s: it is in the cache after it was inspected", a.name)
			}
			did, why, owned := g.issuers.Verify(a.raw, sha256.Sum256([]byte(a.raw)))
			if !reflect.DeepEqual(did, said.Verified) || theirs != owned || theirs && said.Reason != why {
				t.Errorf("%s: inspected as %v, %+v; verified as %v, %+v", a.name, said.Reason, said.Verified, why, did)
			}
			if theirs && causes[why] && said.Cause == "" {
				t.Errorf("%s: no cause is told of %v", a.name, why)
			}
			for _, f := range said.Facts {
				if len(f.Found) > 250 || strings.ContainsFunc(f.Found, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%s: the fact %+v is not fit to be shown", a.name, f)
				}
				for _, part := range strings.Split(a.raw, ".") {
					if len(part) > 20 && strings.Contains(f.Found, part) {
						t.Errorf("%s: the fact %+v has a part of the token", a.name, f)
					}
				}
			}
		}
	})
}
