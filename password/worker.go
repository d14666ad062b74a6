package password

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"devicegate/password/priority"
)

// WorkerArgument is the only argument of a program that a Pool starts as its worker:
//
//	if len(os.Args) == 2 && os.Args[1] == password.WorkerArgument {
//		os.Exit(password.WorkerMain())
//	}
const WorkerArgument = "hash-worker"

// idleAfter is how long a worker keeps the memory of its last hash for the next one.
const idleAfter = 10 * time.Second

// WorkerMain is the whole life of a worker process: it gives up its priority and computes keys until
// its standard input ends, which also happens when the pool's process is killed. It returns the exit
// status; the caller exits with it at once.
func WorkerMain() int {
	// A Ctrl-C or a service manager signals the whole group. The pool still has sign-ins to answer
	// and ends the worker itself.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := priority.Lower(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: sign-ins may slow checks, because the priority cannot be lowered: %v\n", WorkerArgument, err)
	}
	if err := serveWorker(context.Background(), os.Stdin, os.Stdout, priority.NewReminder()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", WorkerArgument, err)
		return 1
	}
	return 0
}

// ServeWorker answers requests from in on out, each in a goroutine of its own: how many there are at
// a time is the pool's to bound. It returns nil when in ends between two requests, ctx's error when
// ctx ends, and an error for anything that is no request. It does not wait for hashes under way:
// nobody is there to read them.
func ServeWorker(ctx context.Context, in io.Reader, out io.Writer) error {
	return serveWorker(ctx, in, out, new(priority.Reminder))
}

func serveWorker(ctx context.Context, in io.Reader, out io.Writer, reminder *priority.Reminder) error {
	w := &worker{out: out, failed: make(chan error, 1), reminder: reminder}
	w.idle = time.AfterFunc(idleAfter, debug.FreeOSMemory)
	defer w.idle.Stop()

	ended := make(chan error, 1)
	go func() { ended <- w.read(in) }()
	select {
	case err := <-ended:
		return err
	case err := <-w.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

type worker struct {
	mu     sync.Mutex // one answer at a time
	out    io.Writer
	failed chan error
	idle   *time.Timer

	reminder *priority.Reminder // for as long as keys are computed
}

func (w *worker) read(in io.Reader) error {
	for {
		frame, err := readRequest(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		r, err := parseRequest(frame)
		if err != nil {
			clear(frame)
			return fmt.Errorf("request: %w", err)
		}
		go w.answer(r, frame)
	}
}

// answer computes one key. frame holds the password and is cleared as soon as it was used.
func (w *worker) answer(r request, frame []byte) {
	w.reminder.Begin()
	key := deriveKey(r.params, r.salt, r.text)
	clear(frame)
	// Each hash leaves all its memory as garbage. Collected now, the next hash takes the same pages
	// and the process stays at about one hash's memory a slot; once idle, the pages go back.
	runtime.GC()
	w.reminder.End()
	w.idle.Reset(idleAfter)

	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.out.Write(appendAnswer(r.id, key)); err != nil {
		select {
		case w.failed <- fmt.Errorf("write: %w", err):
		default: // somebody else said so
		}
	}
}
