package login_test

import (
	"fmt"
	"os"
	"testing"
)

// childRole names the environment variable that makes the test binary play one of these roles instead of running tests.
const childRole = "LOGIN_TEST_CHILD"

var roles = map[string]func() error{}

func TestMain(m *testing.M) {
	if role, is := roles[os.Getenv(childRole)]; is {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
