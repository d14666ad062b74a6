package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong with a configuration, and where. Either File or Variable is set.
type Fault struct {
	File     string // as Source names it
	Line     int    // from 1; 0 when the fault is the file itself, such as one that cannot be read
	Column   int    // from 1, in characters
	Variable string // the environment variable, or the flag with its dashes
	Message  string // one line: what is wrong, and what to write instead
}

// String returns the fault as one line, FILE:LINE:COLUMN: message, or DEVICEGATE_NAME: message.
func (f Fault) String() string {
	switch {
	case f.Variable != "":
		return f.Variable + ": " + f.Message
	case f.Line == 0:
		return f.File + ": " + f.Message
	default:
		return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, f.Message)
	}
}

// says returns the place of f with a message.
func (f Fault) says(message string) Fault {
	f.Message = message
	return f
}

// Faults is every fault of one configuration, those of the file first and in its order, then those
// of the environment by name, then those of flags. Load returns it as a *Faults.
type Faults []Fault

var _ error = (*Faults)(nil)

// Error returns one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// sort puts the faults into the order that Faults promises.
func (f Faults) sort() {
	group := func(fault Fault) int {
		switch {
		case fault.Variable == "":
			return 0
		case strings.HasPrefix(fault.Variable, variablePrefix):
			return 1
		default:
			return 2
		}
	}
	slices.SortStableFunc(f, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(group(a), group(b)), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Variable, b.Variable))
	})
}
