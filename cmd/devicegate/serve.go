package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"devicegate/config"
	"devicegate/server"
)

// version is set by the build: -ldflags "-X main.version=v1.2.3".
var version = ""

func versionWord() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

func (c *cli) serve() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the gate",
		Long: `Run the gate until SIGINT or SIGTERM, which let requests under way finish.

It logs "listening" for each listener, then "ready". SIGHUP, or a change of the configuration file, has the
configuration read again: with a fault in it the one from before stays.`,
		Example: `  devicegate serve
  devicegate serve --config /etc/devicegate/devicegate.yaml --log-level debug`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, _ := c.file()
			taken := server.StateOf(file)
			cfg, err := c.load()
			if err != nil {
				return err
			}
			log := c.logger(cfg.Log)
			s, err := server.Open(cmd.Context(), cfg, log, server.WithVersion(versionWord()), server.WithReload(c.load, file, taken, hangups()))
			if err != nil {
				return err
			}
			err = errors.Join(s.Run(cmd.Context(), nil), s.Close())
			if err == nil {
				log.Info().Msg("stopped")
			}
			return err
		},
	}
}

// hangups delivers SIGHUP, which ends a process that does not take it.
func hangups() <-chan os.Signal {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGHUP)
	return asked
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  devicegate version -o json",
		Args:    args(noArguments),
		RunE: func(*cobra.Command, []string) error {
			if c.output == "json" {
				return c.printJSON(map[string]string{"version": versionWord()})
			}
			_, err := fmt.Fprintln(c.stdout, "devicegate", versionWord())
			return err
		},
	}
}

func (c *cli) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check the configuration", Example: "  devicegate config check", Args: args(noArguments), RunE: helpOnly}
	cmd.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Say everything that is wrong with the configuration",
		Long: `Check FILE, or the file that serve would read, together with the environment. Every fault is printed as
FILE:LINE:COLUMN: message, or DEVICEGATE_NAME: message. Exit code 2 when there is one.`,
		Example: "  devicegate config check /etc/devicegate/devicegate.yaml",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, files []string) error {
			if len(files) == 1 {
				c.configFile = files[0]
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			for _, w := range cfg.Warnings {
				fmt.Fprintln(c.stderr, "warning:", w)
			}
			if c.output == "json" {
				return c.printJSON(map[string]any{"valid": true, "warnings": append([]string{}, cfg.Warnings...)})
			}
			_, err = fmt.Fprintln(c.stdout, "The configuration is valid.")
			return err
		},
	})
	return cmd
}

// helpOnly is for commands that only group others.
func helpOnly(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return cmd.Help()
}

func (c *cli) healthcheck() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the running service whether it is ready",
		Long:  "Ask /readyz at operations.address. Exit code 0: ready, 3: not ready, 1: nobody answers.",
		Example: `  devicegate healthcheck
  until devicegate healthcheck; do sleep 1; done`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			return c.askReady(cmd, cfg.Operations.Address)
		},
	}
}

func (c *cli) askReady(cmd *cobra.Command, address config.Address) error {
	if address.Off() {
		return &usageError{"operations.address is off, so there is nothing to ask"}
	}
	client := &http.Client{Transport: dialing(address), Timeout: 5 * time.Second}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, "http://operations/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("nobody answers at operations.address %s: %w", address, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return &noError{"not ready"}
	}
	if c.output == "json" {
		return c.printJSON(map[string]string{"status": "ready"})
	}
	_, err = fmt.Fprintln(c.stdout, "ready")
	return err
}
