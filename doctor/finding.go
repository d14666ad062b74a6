package doctor

import (
	"fmt"

	"devicegate/safetext"
)

// Finding is one thing that is wrong with an installation, and how to mend it.
type Finding struct {
	// Code names the kind, in kebab-case, for scripts and for the documentation: "nginx-satisfy-any".
	Code string `json:"code"`
	// Where is FILE:LINE of a configuration, or the probe that showed it.
	Where string `json:"where"`
	// Problem says what gets through, or what breaks, in one sentence.
	Problem string `json:"problem"`
	// Fix is the exact line to write, or the thing to do.
	Fix string `json:"fix"`
}

// String is the finding on one line. Text that came from files and answers is made fit for a terminal.
func (f Finding) String() string {
	return safetext.Bound(fmt.Sprintf("%s: %s [%s] Fix: %s", f.Where, f.Problem, f.Code, f.Fix), maxLine)
}

// maxLine is the longest line that a finding may become, in bytes.
const maxLine = 2000
