package e2e_test

import (
	"fmt"
	"slices"
	"testing"
)

// table returns all cases, by number.
func table() []testCase {
	all := slices.Concat(basicCases(), tokenCases(), identityCases(), metadataCases(), pathCases(), directCases(), failureCases(), deviceCases())
	slices.SortStableFunc(all, func(a, b testCase) int { return a.number - b.number })
	return all
}

// TestCases runs the table through every proxy.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			b := startBench(t, p)
			unasked := map[string]string{} // ids of requests that must not have come to the gate
			for _, c := range table() {
				want, mine := c.want[p.name]
				if !mine {
					continue
				}
				t.Run(fmt.Sprintf("%d %s", c.number, c.title), func(t *testing.T) {
					x := c.run(t, b)
					if want.reason == "" && c.send == nil {
						unasked[x.id] = t.Name()
					}
				})
			}
			for id, name := range unasked {
				if d := b.gate.decisions(id); len(d) > 0 {
					t.Errorf("%s: the gate was asked: %+v", name, d)
				}
			}
		})
	}
}
