//go:build !race

package token_test

// mutants is how many relatives of a token are tried.
const mutants = 100_000
