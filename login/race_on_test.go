//go:build race

package login_test

// phases of a history are fewer here, because the race detector makes each step several times as dear.
const phases = 9

// floodNames is how many names a flood makes up; a million without the race detector.
const floodNames = 20_000
