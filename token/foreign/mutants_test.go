package foreign_test

import (
	"crypto/ecdsa"
	"flag"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"devicegate/reason"
)

// mutants is how many relatives of good tokens TestMutants tries, in all. The long run is
//
//	go test -run '^TestMutants$' -mutants 10000000 -timeout 0 ./token/foreign
var mutants = flag.Int("mutants", 100_000, "how many relatives of good tokens are tried")

// TestMutants: of very many random relatives of good tokens none is accepted but the tokens themselves.
//
// Of an ES256 token there is one relative that is: the twin with the signature (r, n-s). Issuers do not agree on
// making s low, so both are good by design, and whatever counts a token once counts it by what it says.
func TestMutants(t *testing.T) {
	speakers := []string{"django", "pem", "idp EdDSA", "idp ES256"}
	for _, name := range speakers {
		t.Run(name, func(t *testing.T) {
			g, v := newGate(t), voices()[name]
			good := []string{v.honest(), v.signClaims(v.claims.with("jti", `"other"`))}
			whole := slices.Clone(good)
			if key, ok := v.key.(*ecdsa.PrivateKey); ok {
				for _, raw := range good {
					twin := twinOf(key, raw)
					g.want(t, "the twin", twin, reason.OK)
					whole = append(whole, twin)
				}
			}
			workers := runtime.GOMAXPROCS(0)
			var wg sync.WaitGroup
			for worker := range workers {
				r := rand.New(rand.NewPCG(uint64(worker), 3))
				wg.Go(func() { tryMutants(t, g, r, good, whole, *mutants/len(speakers)/workers+1) })
			}
			wg.Wait()
		})
	}
}

// tryMutants tries n relatives of good tokens that are not whole. Where the changes cancelled out the token must
// be accepted, else the test would compare nothing.
func tryMutants(t *testing.T, g *gate, r *rand.Rand, good, whole []string, n int) {
	unchanged := 0
	for tried := 0; tried < n; {
		raw := mutate(r, good[0], good[1])
		_, why := g.verifier.Verify(raw)
		if slices.Contains(whole, raw) {
			unchanged++
			if why != reason.OK {
				t.Errorf("a good token: %v", why)
				return
			}
			continue
		}
		tried++
		if why == reason.OK {
			t.Errorf("accepted %q\nbeside   %q", raw, good[0])
			return
		}
	}
	if unchanged == 0 {
		t.Error("no mutation left the token whole")
	}
}

// mutate returns good changed once or twice; now and then the changes cancel out.
func mutate(r *rand.Rand, good, other string) string {
	b := []byte(good)
	for range 1 + r.IntN(2) {
		switch at := r.IntN(len(b)); r.IntN(7) {
		case 0:
			b[at] = byte(r.IntN(256))
		case 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b = slices.Insert(b, at, byte(r.IntN(256)))
		case 3:
			b = slices.Insert(b, at, []byte("\r\n\t =.%+/-_A")[r.IntN(12)])
		case 4:
			b = slices.Delete(b, at, at+1)
		case 5:
			to := r.IntN(len(b))
			b[at], b[to] = b[to], b[at]
		case 6: // a part of the other token, or another part of the same, in the place of one
			parts := strings.Split(string(b), ".")
			donors := append(strings.Split(other, "."), parts...)
			parts[r.IntN(len(parts))] = donors[r.IntN(len(donors))]
			b = []byte(strings.Join(parts, "."))
		}
	}
	return string(b)
}
