//go:build race

package login_test

// phases of a history are fewer here, because the race detector makes each step several times as dear.
const phases = 9
