package password

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed common.txt
var commonText string

// common is the set of the passwords that are tried first, each also without the digits it ends in,
// which is what is left of it when more stand behind. The set is made at the first question, so that
// neither a check nor the hash worker pays for it.
var common = sync.OnceValue(func() map[string]bool {
	set := make(map[string]bool)
	for line := range strings.Lines(commonText) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			set[line], set[core(line)] = true, true
		}
	}
	return set
})
