//go:build !race

package login_test

// phases of a history: 16 people times 25 steps each.
const phases = 30

// floodNames is how many names a flood makes up.
const floodNames = 1_000_000
