package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/config"
)

func (c *cli) user() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "Make and look after accounts",
		Long: `Make and look after accounts: through the admin socket of the running service, or, where nothing
listens there, on the closed file.`,
		Example: `  devicegate user add alice
  devicegate user list`,
		Args: args(cobra.ArbitraryArgs),
		RunE: helpOnly,
	}
	cmd.AddCommand(c.userAdd(), c.userList(), c.userShow(), c.userRole(), c.userPassword(),
		c.userPasswordReset(), c.userDelete(),
		c.userSwitch("disable", "Disable an account and end all its devices", true),
		c.userSwitch("enable", "Enable an account again; ended devices do not come back", false))
	return cmd
}

// withAdmin runs one command against the administration.
func (c *cli) withAdmin(ctx context.Context, use func(*admin) error) error {
	return c.withAdminOn(ctx, c.telling(openFile, false), use)
}

// withAdminOn is withAdmin that opens the closed file in its own way.
func (c *cli) withAdminOn(ctx context.Context, open opener, use func(*admin) error) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	a, err := openAdmin(ctx, cfg, open)
	if err != nil {
		return err
	}
	err = use(a)
	if closeErr := a.close(); err == nil {
		err = closeErr
	}
	return err
}

// telling returns an opener that says on standard error that this is the closed file, where it has to make the
// file, or always: whoever means a running service is in another folder, or reads what it would answer if it ran.
func (c *cli) telling(open opener, always bool) opener {
	return func(ctx context.Context, cfg *config.Config) (*admin, error) {
		_, missing := os.Stat(cfg.Store.Path)
		a, err := open(ctx, cfg)
		if err != nil || missing == nil && !always {
			return a, err
		}
		path, pathErr := filepath.Abs(cfg.Store.Path)
		if pathErr != nil {
			path = cfg.Store.Path
		}
		made := map[bool]string{true: ", which was not there and is made"}[missing != nil]
		fmt.Fprintf(c.stderr, "Nobody listens on %s: this is the closed file %s%s.\n", clean(cfg.AdminSocket()), clean(path), made)
		return a, nil
	}
}

func (c *cli) userAdd() *cobra.Command {
	var (
		roles    []string
		password passwordFlags
	)
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make an account",
		Long: `Make an account. The password is asked for twice on a terminal, read from standard input with
--password-stdin, or made and printed with --generate; it is never an argument, which others could see.`,
		Example: `  devicegate user add alice
  devicegate user add bob --role staff --role admin --generate
  echo "correct horse battery staple" | devicegate user add carol --password-stdin -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			given, err := password.read(c)
			if err != nil {
				return err
			}
			return c.withAdminOn(cmd.Context(), openFile, func(a *admin) error {
				var made api.CreatedUser
				body := api.NewUser{Name: names[0], Roles: &roles, Password: given}
				if err := a.call(cmd.Context(), http.MethodPost, "/admin/users", body, &made); err != nil {
					return err
				}
				return c.printCreated(made)
			})
		},
	}
	cmd.Flags().StringArrayVar(&roles, "role", []string{}, "`ROLE` of the account; can be given several times")
	password.register(cmd)
	return cmd
}

func (c *cli) printCreated(u api.CreatedUser) error {
	if c.output == "json" {
		out := map[string]any{"id": u.Id, "name": u.Name, "roles": u.Roles}
		if u.Password != nil {
			out["password"] = *u.Password
		}
		return c.printJSON(out)
	}
	_, err := fmt.Fprintf(c.stdout, "Made the account %s (%s).\n", clean(u.Name), u.Id)
	if u.Password != nil && err == nil {
		_, err = fmt.Fprintf(c.stdout, "Its password, shown this once: %s\n", *u.Password)
	}
	return err
}

func (c *cli) userList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the accounts, oldest first",
		Example: `  devicegate user list
  devicegate user list -o json`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(a *admin) error { return c.printUsers(cmd.Context(), a) })
		},
	}
}

func (c *cli) printUsers(ctx context.Context, a *admin) error {
	list := listing[api.User]{c, c.table("NAME", "ROLES", "STATE", "LAST SIGN-IN", "ID"), userRow}
	return list.print(ctx, a, "/admin/users", nil, 0)
}

func userRow(u api.User) []cell {
	row := plainCells(u.Name, strings.Join(u.Roles, ","), state(u), lastSignIn(u), u.Id)
	row[2].bad = u.Disabled
	return row
}

func state(u api.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

func lastSignIn(u api.User) string {
	if u.LastSignInAt == nil {
		return "never"
	}
	return u.LastSignInAt.Format(time.RFC3339)
}

func (c *cli) userShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show one account",
		Long:  "Show one account, found by any spelling of its name.",
		Example: `  devicegate user show alice
  devicegate user show alice -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				u, err := findUser(cmd.Context(), a, names[0])
				if err != nil {
					return err
				}
				return c.showUser(u)
			})
		},
	}
}

func (c *cli) showUser(u api.User) error {
	if c.output == "json" {
		return c.printJSON(u)
	}
	_, err := fmt.Fprintf(c.stdout, "name:          %s\nid:            %s\nroles:         %s\nstate:         %s\ncreated:       %s\nlast sign-in:  %s\n",
		clean(u.Name), u.Id, strings.Join(u.Roles, ", "), state(u), u.CreatedAt.Format(time.RFC3339), lastSignIn(u))
	return err
}

// findUser finds an account by any spelling of its name.
func findUser(ctx context.Context, a *admin, name string) (api.User, error) {
	var page api.UserPage
	if err := a.call(ctx, http.MethodGet, "/admin/users?name="+url.QueryEscape(name), nil, &page); err != nil {
		return api.User{}, err
	}
	if len(page.Results) == 0 {
		return api.User{}, &noError{fmt.Sprintf("there is no user %q", name)}
	}
	return page.Results[0], nil
}

func (c *cli) userSwitch(word, what string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use:     word + " NAME",
		Short:   what,
		Example: "  devicegate user " + word + " alice",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return c.changeUser(cmd.Context(), names[0],
				func(api.User) api.UserUpdate { return api.UserUpdate{Disabled: &disabled} },
				func(u api.User) error {
					if c.output == "json" {
						return c.printJSON(u)
					}
					_, err := fmt.Fprintf(c.stdout, "The account %s is %s.\n", clean(u.Name), state(u))
					return err
				})
		},
	}
}
