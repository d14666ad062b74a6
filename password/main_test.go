package password_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"devicegate/password"
)

// TestMain lets the test binary be the processes that the tests need: the worker itself, workers
// that misbehave, and a pool's process that is killed.
func TestMain(m *testing.M) {
	role := map[string]func() int{
		password.WorkerArgument: password.WorkerMain,
		"gated-worker":          gatedWorker,
		"exits":                 func() int { return 7 },
		"wrong-keys":            wrongKeys,
		"babbles":               babbles,
		"pool-parent":           poolParent,
	}
	if len(os.Args) == 2 && role[os.Args[1]] != nil {
		os.Exit(role[os.Args[1]]())
	}
	os.Exit(m.Run())
}

// as returns this binary in another role.
func as(role string) *exec.Cmd {
	own, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return exec.Command(own, role)
}

func workerCommand() *exec.Cmd { return as(password.WorkerArgument) }

func noWorker() *exec.Cmd { return exec.Command("/nonexistent/worker") }

// gatedWorker is the worker, but says on descriptor 4 when a request has come, and computes it only
// for a byte read from descriptor 3.
func gatedWorker() int {
	tokens, arrivals := os.NewFile(3, "tokens"), os.NewFile(4, "arrivals")
	in, forward := io.Pipe()
	frames := make(chan []byte, 100)
	go func() {
		for frame := range frames {
			if _, err := io.ReadFull(tokens, make([]byte, 1)); err != nil {
				os.Exit(1)
			}
			_, _ = forward.Write(frame)
		}
	}()
	go func() { _ = password.ServeWorker(context.Background(), in, os.Stdout) }()
	for {
		frame, err := readFrame(os.Stdin)
		if err != nil {
			return 0
		}
		frames <- frame
		_, _ = arrivals.Write([]byte{1})
	}
}

// readFrame returns one request with its length in front.
func readFrame(r io.Reader) ([]byte, error) {
	frame := make([]byte, 4)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, err
	}
	frame = append(frame, make([]byte, binary.BigEndian.Uint32(frame))...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

// wrongKeys answers every request with a key of zeros.
func wrongKeys() int {
	for {
		frame, err := readFrame(os.Stdin)
		if err != nil {
			return 0
		}
		_, _ = os.Stdout.Write(append(frame[4:12:12], make([]byte, 32)...))
	}
}

// babbles answers what nobody asked and stays alive.
func babbles() int {
	_, _ = os.Stdout.Write(make([]byte, 40))
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// poolParent keeps a pool whose worker inherits descriptor 3, until it is killed.
func poolParent() int {
	held := os.NewFile(3, "held")
	_, err := password.NewPool(password.Options{Params: cheap, Command: func() *exec.Cmd {
		cmd := workerCommand()
		cmd.ExtraFiles = []*os.File{held}
		return cmd
	}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}
