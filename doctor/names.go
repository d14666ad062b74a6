package doctor

import (
	"regexp"
	"strings"
)

// Names are the identity headers, as the gate's configuration names them.
type Names struct {
	User, Roles, Device string
	Assertion           string // of the signed identity; empty where none is made
}

// DefaultNames are those of a gate that names none.
func DefaultNames() Names {
	return Names{User: "Remote-User", Roles: "Remote-Groups", Device: "Remote-Device"}
}

func (n Names) all() []string {
	all := []string{n.User, n.Roles, n.Device}
	if n.Assertion != "" {
		all = append(all, n.Assertion)
	}
	return all
}

// expression matches each name and all its aliases, in the dialect of Go.
func (n Names) expression() string {
	var parts []string
	for _, name := range n.all() {
		parts = append(parts, strings.ReplaceAll(regexp.QuoteMeta(strings.ToLower(name)), "-", "[^a-z0-9]*"))
	}
	return "(?i)^(" + strings.Join(parts, "|") + ")$"
}
