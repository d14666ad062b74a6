package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"devicegate/config"
)

// etcConfig is the configuration that is used when nothing names one and it is there.
const etcConfig = "/etc/devicegate/devicegate.yaml"

// cli is what all commands share. Nothing below cmd reads the environment or the terminal.
type cli struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	completionTime time.Duration // that one completion may take

	configFile string
	output     string
	logLevel   string
}

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "devicegate",
		Short: "A gate for any ingress: it checks the bearer token and the device it was issued to",
		Long: `devicegate answers Traefik, nginx and Envoy whether a request may pass: from the bearer token and
from the device that the token was issued to. Delete a device and its next request is refused.

Exit codes: 0 done, 1 it failed, 2 usage or configuration, 3 the answer is no (such as: there is none).`,
		Example: `  # Try it:
  devicegate demo

  # Put it to work:
  devicegate user add alice && devicegate serve`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          args(cobra.ArbitraryArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(cmd, args[0])
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			if err := refuseEmpty(cmd, args); err != nil {
				return err
			}
			if i := slices.IndexFunc(args, func(a string) bool { return !utf8.ValidString(a) }); i >= 0 {
				return &usageError{fmt.Sprintf("%q is not UTF-8: say it in a terminal whose character set is UTF-8", args[i])}
			}
			if !slices.Contains([]string{"table", "json"}, c.output) {
				return &usageError{fmt.Sprintf("--output %s: it is table or json", c.output)}
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&c.configFile, "config", "c", "", "configuration `FILE` (else DEVICEGATE_CONFIG, else "+etcConfig+", else the defaults)")
	root.PersistentFlags().StringVarP(&c.output, "output", "o", "table", "`FORM` of what is printed: table or json (one object, or one a line)")
	root.PersistentFlags().StringVar(&c.logLevel, "log-level", "", "trace, debug, info, warn or error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Sprintf("%v; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(c.demo(), c.serve(), c.user(), c.device(), c.activity(), c.lockout(), c.key(), c.explain(), c.configCommand(), c.snippet(), c.doctor(), c.healthcheck(), c.version())
	root.Version = versionWord()
	root.SetVersionTemplate("devicegate {{.Version}}\n")
	root.InitDefaultVersionFlag()
	c.own(root)
	c.completions(root)
	return root
}

// refuseEmpty refuses empty arguments and flags: they are what a script says whose variable is not set, and
// an empty name must not come to mean everybody, or the first.
func refuseEmpty(cmd *cobra.Command, args []string) (err error) {
	if strings.HasPrefix(cmd.Name(), cobra.ShellCompRequestCmd) {
		return nil // what is to be completed may be empty
	}
	if slices.Contains(args, "") {
		return &usageError{fmt.Sprintf("an argument is empty; see %s --help", cmd.CommandPath())}
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if f.Value.Type() == "string" && f.Value.String() == "" {
			err = &usageError{fmt.Sprintf("--%s is empty; see %s --help", f.Name, cmd.CommandPath())}
		}
	})
	return err
}

// own makes the commands that cobra brings along refuse what they do not know, as ours do: cobra's own
// answer to it is exit code 0 or 1.
func (c *cli) own(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Run, cmd.RunE = nil, helpOn
		case "completion":
			cmd.Args, cmd.RunE = args(cobra.ArbitraryArgs), helpOnly
			for _, shell := range cmd.Commands() {
				shell.Args = args(noArguments)
			}
		}
	}
}

// helpOn prints the help of the command that names lead to.
func helpOn(cmd *cobra.Command, names []string) error {
	target, rest, err := cmd.Root().Find(names)
	if err != nil || len(rest) > 0 {
		return &usageError{fmt.Sprintf("there is no command %q; see devicegate --help", strings.Join(names, " "))}
	}
	target.InitDefaultHelpFlag()
	return target.Help()
}

// unknownCommand refuses a word that is no command of cmd, and names the ones that may have been meant.
func unknownCommand(cmd *cobra.Command, word string) error {
	text := fmt.Sprintf("unknown command %.40q", word)
	if cmd.HasParent() {
		text += fmt.Sprintf(" for %q", cmd.CommandPath())
	}
	cmd.SuggestionsMinimumDistance = 2
	if meant := cmd.SuggestionsFor(word); len(meant) > 0 {
		text += fmt.Sprintf("; did you mean %s?", strings.Join(meant, " or "))
	}
	return &usageError{fmt.Sprintf("%s; see %s --help", text, cmd.CommandPath())}
}

// noArguments refuses arguments without showing them: cobra would take the first for a misspelt command and print it
// whole, and somebody may have pasted a token.
func noArguments(cmd *cobra.Command, got []string) error {
	if len(got) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no argument", cmd.CommandPath())
}

// args turns cobra's complaint about arguments into a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		if err := check(cmd, got); err != nil {
			return &usageError{fmt.Sprintf("%v; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// load reads the configuration that the flags, the environment or the system name.
func (c *cli) load() (*config.Config, error) {
	file, required := c.file()
	return config.Load(config.Source{File: file, FileRequired: required, Environ: c.environ, LogLevel: c.logLevel})
}

// file returns the configuration file, and whether somebody asked for it by name.
func (c *cli) file() (name string, required bool) {
	if c.configFile != "" {
		return c.configFile, true
	}
	if name := c.getenv("DEVICEGATE_CONFIG"); name != "" {
		return name, true
	}
	return etcConfig, false
}

func (c *cli) getenv(name string) string {
	for _, pair := range c.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// logger writes to stderr: lines for people on a terminal, JSON otherwise, unless the configuration says.
func (c *cli) logger(l config.Log) zerolog.Logger {
	level, err := zerolog.ParseLevel(l.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	out := c.stderr
	if l.Format == "console" || l.Format == "auto" && isTerminal(c.stderr) {
		out = zerolog.ConsoleWriter{Out: c.stderr, TimeFormat: "15:04:05.000", NoColor: c.getenv("NO_COLOR") != "" || !isTerminal(c.stderr)}
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// printJSON prints one object on one line. What does not print is escaped: a terminal could obey it.
func (c *cli) printJSON(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.stdout.Write(append(escapeUnseen(b), '\n'))
	return err
}

// escapeUnseen escapes what encoding/json leaves as it is though it does not print, such as the control
// characters from U+0080 on and those that turn the reading direction. All of them stand in strings.
func escapeUnseen(text []byte) []byte {
	out := make([]byte, 0, len(text)+1)
	for _, r := range string(text) {
		switch {
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}
