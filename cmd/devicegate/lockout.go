package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"devicegate/api"
)

func (c *cli) lockout() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lockout",
		Short: "See and end who has to wait after failed sign-ins",
		Long: `See and end who has to wait after failed sign-ins: through the admin socket of the running service, or,
where nothing listens there, on the closed file.`,
		Example: `  devicegate lockout list
  devicegate lockout clear --user alice`,
		Args: args(cobra.ArbitraryArgs),
		RunE: helpOnly,
	}
	cmd.AddCommand(c.lockoutList(), c.lockoutClear())
	return cmd
}

const lockoutPath = "/admin/lockouts"

func (c *cli) lockoutList() *cobra.Command {
	var (
		user, network string
		all           bool
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List who has to wait",
		Long: `List who has to wait: each name and network that failed too often, each name that failed too often from
everywhere, and each known device that did. The names need not exist.`,
		Example: `  devicegate lockout list
  devicegate lockout list --user alice --all
  devicegate lockout list --network 203.0.113.0/24 -o json`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNetwork(network); err != nil {
				return err
			}
			query := parameters("user", user, "network", network)
			if all {
				query.Set("all", "true")
			}
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				list := listing[api.Lockout]{c, c.table("NAME", "NETWORK", "DEVICE", "FAILURES", "LOCKED UNTIL"), lockoutRow}
				return list.print(cmd.Context(), a, lockoutPath, query, 0)
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "only of `NAME`")
	cmd.Flags().StringVar(&network, "network", "", "only of `CIDR`, or one address")
	cmd.Flags().BoolVar(&all, "all", false, "also counters of failures that lock nobody now")
	return cmd
}

func lockoutRow(l api.Lockout) []cell {
	network, until := l.Network, ""
	if network == "" && l.DeviceUid == "" {
		network = "everywhere"
	}
	if l.LockedUntil != nil {
		until = when(*l.LockedUntil)
	}
	return plainCells(short(l.Name), network, shortUID(l.DeviceUid), fmt.Sprint(l.Failures), until)
}

func (c *cli) lockoutClear() *cobra.Command {
	var (
		user, network string
		all           bool
	)
	cmd := &cobra.Command{
		Use:   "clear (--user NAME | --network CIDR | --all)",
		Short: "Forget failed sign-ins, and let those who wait try again",
		Long: `Forget failed sign-ins, and let those who wait try again: of one name from everywhere, of one network for
all names, or all of them. Where there is nothing to clear, that is said, and the exit code is 0.`,
		Example: `  devicegate lockout clear --user alice
  devicegate lockout clear --network 203.0.113.0/24
  devicegate lockout clear --all -o json`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkNetwork(network); err != nil {
				return err
			}
			query := parameters("user", user, "network", network)
			if given := len(query); given > 1 || all == (given == 1) {
				return &usageError{"say one of --user NAME, --network CIDR and --all"}
			}
			query.Set("all", "true") // also those that lock nobody yet
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				cleared, err := clearLockouts(cmd.Context(), a, query)
				if err != nil {
					return err
				}
				return c.printCleared(cleared)
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "those of `NAME`, which need not exist")
	cmd.Flags().StringVar(&network, "network", "", "those of `CIDR`, or of one address")
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	return cmd
}

// clearLockouts removes the counters that query lists and returns how many these were. One that is gone
// meanwhile is not counted.
func clearLockouts(ctx context.Context, a *admin, query url.Values) (cleared int, err error) {
	err = eachPage(ctx, a, lockoutPath, query, 0, func(page []api.Lockout) (bool, error) {
		for _, l := range page {
			err := orNo(a.call(ctx, http.MethodDelete, lockoutPath+"/"+url.PathEscape(l.Id), nil, nil), "gone")
			if isNo(err) {
				continue
			}
			if err != nil {
				return false, fmt.Errorf("after %s: %w", counters(cleared), err)
			}
			cleared++
		}
		return true, nil
	})
	return cleared, err
}

func (c *cli) printCleared(n int) error {
	if c.output == "json" {
		return c.printJSON(map[string]int{"cleared_count": n})
	}
	text := "Cleared " + counters(n) + "."
	if n == 0 {
		text = "Nothing to clear."
	}
	_, err := fmt.Fprintln(c.stdout, text)
	return err
}

func counters(n int) string {
	if n == 1 {
		return "1 counter of failed sign-ins"
	}
	return fmt.Sprintf("%d counters of failed sign-ins", n)
}
