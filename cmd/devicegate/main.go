// Command devicegate is the gate: it serves, and it is what administers a running one.
//
// Exit codes: 0 done, 1 it failed, 2 usage or configuration, 3 the answer is no.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"devicegate/config"
	"devicegate/password"
)

func main() {
	// The worker that computes password hashes is this program as well; it is no command for people.
	if len(os.Args) == 2 && os.Args[1] == password.WorkerArgument {
		os.Exit(password.WorkerMain())
	}
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes of the contract.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNo     = 3
)

// usageError is a fault of who typed the command.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// noError says that the command worked and its answer is no. Without a text the answer was printed.
type noError struct{ text string }

func (e *noError) Error() string { return e.text }

func isNo(err error) bool {
	var no *noError
	return errors.As(err, &no)
}

// run executes one command line. The first SIGINT or SIGTERM ends it orderly, the second at once.
func run(args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	c := &cli{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now, completionTime: completionTime}
	root := c.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(root.ExecuteContext(ctx), stderr)
}

// report prints what went wrong and returns the exit code.
func report(err error, stderr io.Writer) int {
	var (
		faults *config.Faults
		usage  *usageError
		no     *noError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &faults):
		fmt.Fprintln(stderr, faults)
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "devicegate:", usage)
		return exitUsage
	case errors.As(err, &no):
		if no.text != "" {
			fmt.Fprintln(stderr, "devicegate:", no)
		}
		return exitNo
	default:
		fmt.Fprintln(stderr, "devicegate:", err)
		return exitFailed
	}
}
