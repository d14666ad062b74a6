package tokentest

import (
	"encoding/json"
	"fmt"
	"strings"
)

// serializationAttacks: J7, JOSE that is no compact JWS of ours.
func (f *Forger) serializationAttacks() []Attack {
	good := f.Sign(f.Header(), f.claims().String())
	p := strings.Split(good, ".")
	flat := must(json.Marshal(map[string]string{"protected": p[0], "payload": p[1], "signature": p[2]}))
	general := fmt.Sprintf(`{"payload":"%s","signatures":[{"protected":"%s","signature":"%s"}]}`, p[1], p[0], p[2])
	multi := fmt.Sprintf(`{"payload":"%s","signatures":[{"protected":"e30","signature":"AA"},{"protected":"%s","signature":"%s"}]}`, p[1], p[0], p[2])
	return []Attack{
		{"JSON flattened", string(flat), malformed},
		{"JSON general", general, malformed},
		{"JSON with two signatures", multi, malformed},
		{"JWE", B64(`{"alg":"dir","enc":"A256GCM"}`) + "..AAAA.AAAA.AAAA", malformed},
		{"JWE with PBES2", B64(`{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}`) + ".AAAA.AAAA.AAAA.AAAA", malformed},
		{"JWE of our parts", good + "." + p[1] + "." + p[2], malformed},
		{"a fourth part", good + "." + p[2], malformed},
		{"a fourth, empty part", good + ".", malformed},
		{"a first, empty part", "." + good, malformed},
		{"nested JWS", f.Sign(f.Header(), good), malformed},
		{"detached payload", p[0] + ".." + p[2], malformed},
		{"no header", "." + p[1] + "." + p[2], malformed},
		{"nothing", "", malformed}, {"a dot", ".", malformed}, {"two dots", "..", malformed}, {"a thousand dots", strings.Repeat(".", 1000), malformed},
	}
}
