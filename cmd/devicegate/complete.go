package main

import (
	"context"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/login"
)

// The bounds of one completion: somebody waits at a prompt.
const (
	completionTime   = 2 * time.Second
	maxCandidates    = 200
	maxLookedThrough = 1000 // accounts, or devices
)

// finder finds candidates that begin with what is typed. It is told the command's arguments so far.
type finder func(ctx context.Context, a *admin, args []string, typed string) ([]cobra.Completion, error)

// completions completes what the words of the commands stand for. Where nothing completes a word, no names
// of files are offered either, but for --config and config check.
func (c *cli) completions(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	for _, cmd := range allCommands(root) {
		if complete := c.ofArgument(cmd); complete != nil {
			cmd.ValidArgsFunction = complete
		}
		for name, complete := range c.ofFlags(cmd) {
			if cmd.LocalFlags().Lookup(name) == nil {
				continue
			}
			if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
				panic(err) // a flag that was there a moment ago
			}
		}
	}
}

func allCommands(root *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{root}
	for _, cmd := range root.Commands() {
		all = append(all, allCommands(cmd)...)
	}
	return all
}

// ofArgument reads off a command's use line what its argument stands for.
func (c *cli) ofArgument(cmd *cobra.Command) cobra.CompletionFunc {
	switch _, rest, _ := strings.Cut(cmd.Use, " "); {
	case strings.HasPrefix(rest, "UID"):
		return c.only(1, findDevices)
	case rest == "NAME" && cmd.Name() != "add": // a name that is there is of no use for a new one
		return c.only(1, findUsers)
	case rest == "[FILE]":
		return cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	}
	return nil
}

func (c *cli) ofFlags(cmd *cobra.Command) map[string]cobra.CompletionFunc {
	flags := map[string]cobra.CompletionFunc{
		"config":    cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
		"output":    words("table", "json"),
		"log-level": words("trace", "debug", "info", "warn", "error"),
		"user":      c.lookUp(findUsers),
		"outcome":   words(string(api.EventOutcomeSuccess), string(api.EventOutcomeFailure)),
		"reason":    words(login.AttemptReasons()...),
		"role":      c.lookUp(findRoles),
		"add":       c.lookUp(findRoles),
		"remove":    c.lookUp(findRolesOf),
		"policy":    c.completePolicies,
		"adapter":   words(adapterWords()...),
		"dir":       cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs),
	}
	if cmd.Name() == "rights" {
		flags["update"], flags["delete"] = words("yes", "no"), words("yes", "no")
	}
	return flags
}

// completePolicies offers the policies of the configuration.
func (c *cli) completePolicies(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	cfg, err := c.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.Sorted(maps.Keys(cfg.Policies)), cobra.ShellCompDirectiveNoFileComp
}

func words(list ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)
}

// only completes the first n arguments.
func (c *cli) only(n int, find finder) cobra.CompletionFunc {
	complete := c.lookUp(find)
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) >= n {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// lookUp completes with what the administration knows. Whatever goes wrong, or takes too long, completes
// nothing and says nothing.
func (c *cli) lookUp(find finder) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(context.Background(), c.completionTime)
		defer cancel()
		found := make(chan []cobra.Completion, 1)
		go func() { found <- c.candidates(ctx, find, args, typed) }() // opening a file does not end with ctx
		select {
		case list := <-found:
			return list[:min(len(list), maxCandidates)], cobra.ShellCompDirectiveNoFileComp
		case <-ctx.Done():
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
	}
}

// candidates asks the running service, or the file where there is one: none is made.
func (c *cli) candidates(ctx context.Context, find finder, args []string, typed string) (list []cobra.Completion) {
	cfg, err := c.load()
	if err != nil {
		return nil
	}
	a, err := dialService(ctx, cfg)
	if a == nil && err == nil {
		if _, err = os.Stat(cfg.Store.Path); err == nil {
			a, err = openFile(ctx, cfg)
		}
	}
	if err != nil {
		return nil
	}
	defer func() { _ = a.close() }() // nothing was written
	if list, err = find(ctx, a, args, typed); err != nil {
		return nil
	}
	return list
}

// look goes through a listing as far as a completion may.
func look[T any](ctx context.Context, a *admin, path string, candidates func(T) []cobra.Completion) (list []cobra.Completion, err error) {
	err = eachPage(ctx, a, path, nil, maxLookedThrough, func(page []T) (bool, error) {
		for _, item := range page {
			list = append(list, candidates(item)...)
		}
		return len(list) < maxCandidates, nil
	})
	return list, err
}

func findUsers(ctx context.Context, a *admin, _ []string, typed string) ([]cobra.Completion, error) {
	return look(ctx, a, "/admin/users", func(u api.User) []cobra.Completion {
		if !begins(u.Name, typed) {
			return nil
		}
		return []cobra.Completion{cobra.CompletionWithDesc(clean(u.Name), strings.Join(u.Roles, ", "))}
	})
}

// findDevices offers devices with their name and their user's: nobody knows a device_uid by heart.
func findDevices(ctx context.Context, a *admin, _ []string, typed string) ([]cobra.Completion, error) {
	return look(ctx, a, "/admin/devices", func(d api.UserDevice) []cobra.Completion {
		if !begins(d.DeviceUid, typed) {
			return nil
		}
		return []cobra.Completion{cobra.CompletionWithDesc(d.DeviceUid, clean(d.Name)+", "+clean(d.UserName))}
	})
}

// findRoles offers the roles that accounts have, and admin.
func findRoles(ctx context.Context, a *admin, _ []string, typed string) ([]cobra.Completion, error) {
	seen := map[string]bool{}
	offer := func(roles []string) (fresh []cobra.Completion) {
		for _, role := range roles {
			if !seen[role] && begins(role, typed) {
				seen[role] = true
				fresh = append(fresh, role)
			}
		}
		return fresh
	}
	first := offer([]string{login.AdminRole})
	list, err := look(ctx, a, "/admin/users", func(u api.User) []cobra.Completion { return offer(u.Roles) })
	return append(first, list...), err
}

// findRolesOf offers the roles that the account of the argument has.
func findRolesOf(ctx context.Context, a *admin, args []string, typed string) ([]cobra.Completion, error) {
	if len(args) == 0 {
		return findRoles(ctx, a, args, typed)
	}
	u, err := findUser(ctx, a, args[0])
	return slices.DeleteFunc(u.Roles, func(role string) bool { return !begins(role, typed) }), err
}

func begins(word, typed string) bool {
	return len(word) >= len(typed) && strings.EqualFold(word[:len(typed)], typed)
}
