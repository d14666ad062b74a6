package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that this program started.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	ended chan struct{} // closed when it says no more
}

// start starts cmd and hands its output, from the given stream, line by line to seen in a goroutine of
// its own. stop must be called.
func start(cmd *exec.Cmd, stream func(*exec.Cmd) (io.ReadCloser, error), seen func(line []byte)) (*process, error) {
	lines, err := stream(cmd)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	if p.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = stopTimeout
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.ended)
		scanner := bufio.NewScanner(lines)
		scanner.Buffer(nil, 1<<20)
		for scanner.Scan() {
			seen(scanner.Bytes())
		}
	}()
	return p, nil
}

// stopTimeout is how long a server may take to end before it is killed.
const stopTimeout = 5 * time.Second

// stop ends the process, by force if it does not go.
func (p *process) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	<-p.ended
	_ = p.cmd.Wait()
	kill.Stop()
}

// startNoop starts this very program as a server that does nothing.
func startNoop(ctx context.Context, kind string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	first := make(chan string, 1)
	p, err := start(exec.CommandContext(ctx, self, noopWord, kind), (*exec.Cmd).StdoutPipe, func(line []byte) {
		select {
		case first <- string(line):
		default:
		}
	})
	if err != nil {
		return nil, "", err
	}
	select {
	case address := <-first:
		return p, address, nil
	case <-p.ended:
	case <-time.After(startTimeout):
	}
	p.stop()
	return nil, "", fmt.Errorf("the no-op server for %s does not start", kind)
}

const startTimeout = 20 * time.Second

// cpuTime returns how long the threads of a process have run. Where the system does not tell (it is
// Linux's schedstat), it is 0.
func cpuTime(pid int) time.Duration {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var sum time.Duration
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		ran, _, _ := strings.Cut(string(b), " ")
		if ns, err := strconv.ParseInt(ran, 10, 64); err == nil {
			sum += time.Duration(ns)
		}
	}
	return sum
}
