package forwardauth_test

import (
	"testing"

	"devicegate/authz/authztest"
)

func TestBehaviour(t *testing.T) {
	w := authztest.NewWorld(t)
	for _, p := range proxies {
		t.Run(p.String(), func(t *testing.T) { authztest.Behaviour(t, w, p.table()) })
	}
}

func TestWords(t *testing.T) {
	w := authztest.NewWorld(t)
	for _, p := range proxies {
		t.Run(p.String(), func(t *testing.T) { authztest.Words(t, w, p.table()) })
	}
}
