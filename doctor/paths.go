package doctor

import (
	"regexp"
	"strings"
)

// Paths that proxy and backend read differently, each with what a backend may take it for. All of them were
// seen to get past a proxy (docs/seam.md, B7; proxies.md, section 5). A site with open and protected routes
// side by side, or with two policies, has to refuse them.
var (
	dotSegments    = []string{"/open/../x", "/open/..", "/open/./x"}
	dotParameters  = []string{"/open/..;/x", "/open/..;x/y"}
	encodedDots    = []string{"/open/%2e%2e/x", "/open/%2E./x"}
	encodedEscapes = []string{"/open/%252e%252e/x", "/open/x%00", "/open/..%3b/x"}
	encodedSlashes = []string{"/open/..%2fx", "/open/..%2Fx", "/open/..%5cx", `/open/..\x`}
)

func together(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// refusal is the expressions by which a proxy refuses paths.
type refusal []*regexp.Regexp

// misses returns the first path that no expression matches, empty if all are refused.
func (r refusal) misses(paths []string) string {
next:
	for _, path := range paths {
		for _, expression := range r {
			if expression.MatchString(path) {
				continue next
			}
		}
		return path
	}
	return ""
}

// expression compiles what a proxy writes in its own dialect. Where Go has no such construct it is an error:
// the expression cannot be judged, which counts as if it were not there.
func expression(text string, foldCase, whole bool) (*regexp.Regexp, error) {
	if foldCase {
		text = "(?i)" + text
	}
	if whole {
		text = `^(?:` + text + `)$`
	}
	return regexp.Compile(text)
}

// odd are the characters that a header's name may have and no identity header has. Backends turn some or all of
// them into the dash, or the dash into them (docs/seam.md, B2, B3).
const odd = "_.~!#$%&'*+^`|"

// aliases returns the spellings of a header's name with each odd character in place of its dashes.
func aliases(name string) (all []string) {
	for _, c := range odd {
		all = append(all, strings.ReplaceAll(name, "-", string(c)))
	}
	return all
}
