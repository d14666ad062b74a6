package password

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

var errEnded = errors.New("the worker ended")

// child is one running worker process. It ends for good on the first thing that is not as it should
// be; the pool starts another.
type child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser

	writing sync.Mutex // one request at a time; apart from mu, because a write may block

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]chan<- [keySize]byte

	ended chan struct{} // closed when the process is gone and reaped
	err   error         // why; read after ended
}

// startChild starts cmd. The caller owns the child and must end it.
func startChild(cmd *exec.Cmd) (*child, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the worker: %w", err)
	}
	c := &child{cmd: cmd, stdin: stdin, pending: make(map[uint64]chan<- [keySize]byte), ended: make(chan struct{})}
	go c.read(stdout)
	return c, nil
}

// read hands out answers until the first fault, and is the one place that reaps the process.
func (c *child) read(stdout io.Reader) {
	defer close(c.ended)
	for {
		id, key, err := readAnswer(stdout)
		if err != nil {
			c.end()
			c.err = errors.Join(errEnded, c.cmd.Wait())
			return
		}
		c.mu.Lock()
		to, ok := c.pending[id]
		delete(c.pending, id)
		c.mu.Unlock()
		if !ok {
			c.end()
			_ = c.cmd.Wait()
			c.err = fmt.Errorf("%w: it answered what nobody asked", errEnded)
			return
		}
		to <- key // never blocks: one answer, and room for one
	}
}

// derive has the worker compute one key. The error is errEnded, whatever the cause.
func (c *child) derive(j job) ([keySize]byte, error) {
	answer := make(chan [keySize]byte, 1)
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.pending[id] = answer
	c.mu.Unlock()

	if err := c.write(id, j); err != nil {
		c.end() // half a request may have been sent: what follows would be read wrongly
	}
	select {
	case key := <-answer:
		return key, nil
	case <-c.ended:
	}
	select { // an answer that came just before the end is good
	case key := <-answer:
		return key, nil
	default:
		return [keySize]byte{}, c.err
	}
}

func (c *child) write(id uint64, j job) error {
	frame := appendRequest(id, j)
	defer clear(frame)
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.stdin.Write(frame)
	return err
}

// end kills the process: a worker has nothing to save. It may be called often, and does not wait;
// ended tells when it is over.
func (c *child) end() {
	_ = c.cmd.Process.Kill()
	_ = c.stdin.Close()
}

func (c *child) alive() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}
