package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passwordFlags says where a new password comes from.
type passwordFlags struct{ stdin, generate bool }

func (p *passwordFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input, one line")
	cmd.Flags().BoolVar(&p.generate, "generate", false, "make a password and print it once")
}

// read returns the password, or nil when one is to be made.
func (p *passwordFlags) read(c *cli) (*string, error) {
	switch {
	case p.stdin && p.generate:
		return nil, &usageError{"--password-stdin and --generate exclude each other"}
	case p.generate:
		return nil, nil
	case p.stdin:
		return readLine(c.stdin)
	}
	f, ok := c.stdin.(*os.File)
	if !ok || !isTerminal(f) {
		return nil, &usageError{"standard input is no terminal to ask on: say --password-stdin or --generate"}
	}
	return askTwice(f, c.stderr)
}

func readLine(r io.Reader) (*string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 64<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading from the terminal: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return nil, &usageError{"--password-stdin: standard input is empty"}
	}
	if !utf8.ValidString(line) {
		return nil, &usageError{"--password-stdin: standard input is not UTF-8; as another text than the one meant, the password would never match"}
	}
	return &line, nil
}

func askTwice(terminal *os.File, prompt io.Writer) (*string, error) {
	first, err := ask(terminal, prompt, "Password: ")
	if err != nil {
		return nil, err
	}
	second, err := ask(terminal, prompt, "Password again: ")
	if err != nil {
		return nil, err
	}
	if first != second {
		return nil, errors.New("the two passwords differ; nothing was done")
	}
	return &first, nil
}

func ask(terminal *os.File, prompt io.Writer, text string) (string, error) {
	fmt.Fprint(prompt, text)
	b, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(prompt)
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	return string(b), nil
}
