package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// gate is the real service in a process of its own.
type gate struct {
	*process
	binary, config string
	addresses      map[string]string // by listener
}

// gateConfig takes free ports and leaves everything as it is but for what a load test cannot have: one
// line of log per check, the end of devices that more sign-ins bring, and what bounds attempts.
const gateConfig = `store: {path: %q}
checks:
  http: {address: "127.0.0.1:0"}
  grpc: {address: "127.0.0.1:0"}
api: {address: "127.0.0.1:0", sign_in_rate: 1000000/1s}
operations: {address: "127.0.0.1:0"}
devices: {hard_limit: 1000}
lockout: {threshold: 1000, name_threshold: 100000}
log: {format: json, allowed_sample: 1000000}
`

// buildGate builds the service as it is shipped, so never with the race detector.
func buildGate(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "devicegate")
	out, err := exec.CommandContext(ctx, "go", "build", "-race=false", "-o", binary, "devicegate/cmd/devicegate").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the gate: %w\n%s", err, out)
	}
	return binary, nil
}

// startGate starts the service on a fresh store in dir and waits until it is ready.
func startGate(ctx context.Context, binary, dir string) (*gate, error) {
	g := &gate{binary: binary, config: filepath.Join(dir, "devicegate.yaml"), addresses: map[string]string{}}
	text := fmt.Sprintf(gateConfig, filepath.Join(dir, "devicegate.db"))
	if err := os.WriteFile(g.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	ready, last := make(chan struct{}), &lastLine{}
	cmd := exec.CommandContext(ctx, binary, "--config", g.config, "serve")
	cmd.Env = plainEnvironment()
	var err error
	g.process, err = start(cmd, (*exec.Cmd).StderrPipe, func(line []byte) {
		last.set(line)
		g.note(line, ready)
	})
	if err != nil {
		return nil, err
	}
	select {
	case <-ready:
		return g, nil
	case <-g.ended:
	case <-time.After(startTimeout):
	}
	g.stop()
	return nil, fmt.Errorf("the gate does not start; its last words: %s", last)
}

// note reads one line of the service's log. addresses is complete before ready is closed, and not changed
// afterwards.
func (g *gate) note(line []byte, ready chan struct{}) {
	var entry struct{ Message, Listener, Address string }
	if json.Unmarshal(line, &entry) != nil {
		return
	}
	switch entry.Message {
	case "listening":
		g.addresses[entry.Listener] = entry.Address
	case "ready":
		close(ready)
	}
}

// addUser makes an account with the command line, as an operator would.
func (g *gate) addUser(ctx context.Context, name, password string) error {
	cmd := exec.CommandContext(ctx, g.binary, "--config", g.config, "user", "add", name, "--role", "staff", "--password-stdin")
	cmd.Env = plainEnvironment()
	cmd.Stdin = bytes.NewReader([]byte(password + "\n"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making the account %s: %w\n%s", name, err, out)
	}
	return nil
}

// disableUser disables an account with the command line.
func (g *gate) disableUser(ctx context.Context, name string) error {
	cmd := exec.CommandContext(ctx, g.binary, "--config", g.config, "user", "disable", name)
	cmd.Env = plainEnvironment()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("disabling the account %s: %w\n%s", name, err, out)
	}
	return nil
}

// plainEnvironment leaves out what would configure the gate behind its file's back.
func plainEnvironment() []string {
	var env []string
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "DEVICEGATE_") {
			env = append(env, pair)
		}
	}
	return env
}
