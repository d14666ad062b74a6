package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/config"
)

// activityFlags says which events are wanted.
type activityFlags struct {
	user, outcome, reason, network, since string

	limit  int
	follow bool
}

func (c *cli) activity() *cobra.Command {
	var f activityFlags
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "Show who signed in or failed to, which devices ended, and what admins did",
		Long: `Show who signed in or failed to, which devices ended, and what admins did, newest first: through the admin
socket of the running service, or, where nothing listens there, from the closed file. A table on a
terminal, one object of JSON a line elsewhere; -o says otherwise.

With --follow the last ones come first, oldest first, and then new ones as they happen, until Ctrl-C.`,
		Example: `  devicegate activity --user alice --since 24h
  devicegate activity --outcome failure --network 203.0.113.0/24 --limit 0 -o json
  devicegate activity --follow --reason locked`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := f.query(c.now())
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("output") && !isTerminal(c.stdout) {
				c.output = "json"
			}
			if f.follow {
				return c.followActivity(cmd.Context(), query, f)
			}
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				list := c.activityList(cmd.Context(), a)
				return orNoUser(list.print(cmd.Context(), a, activityPath, query, f.limit), f.user)
			})
		},
	}
	f.register(cmd)
	return cmd
}

func (f *activityFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.user, "user", "", "only what happened to `NAME`, or to the id of an account, also of one that is removed")
	cmd.Flags().StringVar(&f.outcome, "outcome", "", "only `OUTCOME`: success or failure")
	cmd.Flags().StringVar(&f.reason, "reason", "", "only for `REASON`, one word such as wrong_password")
	cmd.Flags().StringVar(&f.network, "network", "", "only from `CIDR`, or one address")
	cmd.Flags().StringVar(&f.since, "since", "", "only of the last `DURATION` (24h, 7d), or since a time (2026-03-01T08:00:00Z)")
	cmd.Flags().IntVar(&f.limit, "limit", 100, "at most `N`; 0 for all")
	cmd.Flags().BoolVar(&f.follow, "follow", false, "go on with new ones as they happen")
}

const activityPath = "/admin/login-activity"

// query returns the parameters of the administration's call.
func (f *activityFlags) query(now time.Time) (url.Values, error) {
	switch {
	case f.outcome != "" && f.outcome != string(api.EventOutcomeSuccess) && f.outcome != string(api.EventOutcomeFailure):
		return nil, &usageError{fmt.Sprintf("--outcome %s: it is success or failure", f.outcome)}
	case f.limit < 0:
		return nil, &usageError{fmt.Sprintf("--limit %d: it is a number from 0, which stands for all", f.limit)}
	case f.limit == 0 && f.follow:
		return nil, &usageError{"--limit 0 --follow: say how many to begin with"}
	}
	if err := checkNetwork(f.network); err != nil {
		return nil, err
	}
	since, err := sinceWhen(f.since, now)
	if err != nil {
		return nil, err
	}
	return parameters("user", f.user, "outcome", f.outcome, "reason", f.reason, "network", f.network, "since", since), nil
}

// parameters returns those of the pairs that have a value.
func parameters(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}

// checkNetwork refuses what is neither a network nor an address; nothing at all is fine.
func checkNetwork(text string) error {
	if _, err := netip.ParsePrefix(text); text == "" || err == nil {
		return nil
	}
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return nil
	}
	return &usageError{fmt.Sprintf("--network: %q is neither a network such as 203.0.113.0/24 nor an address", text)}
}

// sinceWhen reads a time, or a duration before now.
func sinceWhen(text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if _, err := time.Parse(time.RFC3339, text); err == nil {
		return text, nil
	}
	ago, err := config.ParseDuration(text)
	if err != nil {
		return "", &usageError{fmt.Sprintf("--since: %q is neither a duration such as 24h or 7d, nor a time such as 2026-03-01T08:00:00Z", text)}
	}
	return now.Add(-ago).UTC().Format(time.RFC3339Nano), nil
}

// orNoUser says which user does not exist, where a listing was refused for that.
func orNoUser(err error, user string) error {
	if user == "" {
		return err
	}
	return orNo(err, "there is no user %q", user)
}

func (c *cli) activityList(ctx context.Context, a *admin) listing[api.Event] {
	names := &userNames{admin: a, known: map[string]string{}}
	return listing[api.Event]{
		c, c.table("TIME", "WHAT", "REASON", "WHO", "DEVICE", "FROM", "ACTOR", "NEW"),
		func(e api.Event) []cell { return eventRow(e, names.of(ctx, e.UserId)) },
	}
}
