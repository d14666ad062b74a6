package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/config"
)

// swept is what a sweep prints as JSON.
type swept struct {
	Count  int  `json:"swept_count"`
	DryRun bool `json:"dry_run"`
}

func (c *cli) deviceSweep() *cobra.Command {
	var (
		olderThan string
		dryRun    bool
	)
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "End the devices that were not used for a while",
		Long: `End the devices that were not used for a while: by no check, no refresh and no sign-in. The running
service ends by itself those whose time is over; this ends them earlier.`,
		Example: `  devicegate device sweep --older-than 90d --dry-run
  devicegate device sweep`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := sweepAge(olderThan)
			if err != nil {
				return err
			}
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				done, err := sweep(cmd.Context(), a, age, dryRun, c.progress())
				if err != nil {
					return err
				}
				return c.printSwept(done, olderThan)
			})
		},
	}
	cmd.Flags().StringVar(&olderThan, "older-than", "30d", "`DURATION` without use, as in the configuration: 12h, 30d")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count")
	return cmd
}

func sweepAge(text string) (time.Duration, error) {
	age, err := config.ParseDuration(text)
	switch {
	case err != nil:
		return 0, &usageError{fmt.Sprintf("--older-than: %v", err)}
	case age%time.Second != 0:
		return 0, &usageError{fmt.Sprintf("--older-than %s: it counts in whole seconds", text)}
	}
	return age, nil
}

// sweep goes through all users, a page a call, and tells show how many devices it has found so far.
func sweep(ctx context.Context, a *admin, age time.Duration, dryRun bool, show *progress) (swept, error) {
	done := swept{DryRun: dryRun}
	defer show.end()
	for body := (api.DeviceSweep{OlderThanSeconds: int(age / time.Second), DryRun: &dryRun}); ; {
		var page api.DeviceSweepResult
		if err := a.call(ctx, http.MethodPost, "/admin/devices/sweep", body, &page); err != nil {
			return done, fmt.Errorf("after %s: %w", devices(done.Count), err)
		}
		done.Count += page.SweptCount
		if page.Next == nil {
			return done, nil
		}
		show.say(devices(done.Count) + " so far")
		body.Cursor = page.Next
	}
}

func (c *cli) printSwept(done swept, olderThan string) error {
	if c.output == "json" {
		return c.printJSON(done)
	}
	form := "Ended %s not used for %s.\n"
	if done.DryRun {
		form = "Would end %s not used for %s.\n"
	}
	_, err := fmt.Fprintf(c.stdout, form, devices(done.Count), olderThan)
	return err
}

func devices(n int) string {
	if n == 1 {
		return "1 device"
	}
	return fmt.Sprintf("%d devices", n)
}

// progress is one line on a terminal that is written over. On anything else, out is nil and it is silent.
type progress struct {
	out   io.Writer
	shown bool
}

func (c *cli) progress() *progress {
	if !isTerminal(c.stderr) {
		return &progress{}
	}
	return &progress{out: c.stderr}
}

// clearLine returns to the start of the line and empties it.
const clearLine = "\r\x1b[K"

func (p *progress) say(text string) {
	if p.out != nil {
		p.shown = true
		fmt.Fprint(p.out, clearLine+text)
	}
}

func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.out, clearLine)
	}
}
