//go:build !race

package login_test

// phases of a history: 16 people times 25 steps each.
const phases = 30
