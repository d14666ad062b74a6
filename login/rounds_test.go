package login_test

import "flag"

// rounds is for the tests of what happens at once: scripts/fuzz asks for a thousand.
var rounds = flag.Int("rounds", 0, "how many rounds tests of chance make, 0: as many as a test run has time for")

// times returns how many rounds a test makes that has time for so many in a test run.
func times(few int) int {
	if *rounds > 0 {
		return *rounds
	}
	return few
}
