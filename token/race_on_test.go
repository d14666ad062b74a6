//go:build race

package token_test

// mutants is fewer here, because the race detector makes each signature several times as dear.
const mutants = 20_000
