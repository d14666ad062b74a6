package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/login"
)

func (c *cli) userDelete() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove an account and end all its devices",
		Long: `Remove an account and end all its devices. What happened to it stays in the activity for its time: it is
found there by the id that is printed.`,
		Example: `  devicegate user delete alice
  devicegate user delete alice -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return c.onUser(cmd.Context(), names[0], func(a *admin, u api.User) error {
				if err := a.call(cmd.Context(), http.MethodDelete, "/admin/users/"+u.Id, nil, nil); err != nil {
					return orNo(err, "there is no user %q", names[0])
				}
				if err := c.printDeleted(u); err != nil {
					return err
				}
				return c.warnWithoutAdmin(cmd.Context(), a, u, api.User{})
			})
		},
	}
}

func (c *cli) printDeleted(u api.User) error {
	if c.output == "json" {
		return c.printJSON(struct {
			ID      string `json:"id"`
			Name    string `json:"name"`
			Deleted bool   `json:"deleted"`
		}{u.Id, u.Name, true})
	}
	_, err := fmt.Fprintf(c.stdout, "The account %s (%s) is removed; all its devices have ended.\n", clean(u.Name), u.Id)
	return err
}

func (c *cli) userPasswordReset() *cobra.Command {
	return &cobra.Command{
		Use:   "password-reset NAME",
		Short: "Make a token with which somebody sets a new password himself",
		Long: `Make a token with which somebody sets a new password himself, once, within an hour: hand it on over a way
that you trust. He sends it to POST /api/password/reset as reset_token, together with new_password. An
earlier token of the account ends. Until the token is used, the present password stays.`,
		Example: `  devicegate user password-reset alice
  devicegate user password-reset alice -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			return c.onUser(cmd.Context(), names[0], func(a *admin, u api.User) error {
				var made api.PasswordResetToken
				if err := a.call(cmd.Context(), http.MethodPost, "/admin/users/"+u.Id+"/password-reset", nil, &made); err != nil {
					return orNo(err, "there is no user %q", names[0])
				}
				if c.output == "json" {
					return c.printJSON(made)
				}
				_, err := fmt.Fprintf(c.stdout, "A token that sets the password of %s, once, until %s. It is shown this once:\n%s\n",
					clean(u.Name), made.ExpiresAt.Format(time.RFC3339), made.ResetToken)
				return err
			})
		},
	}
}

// onUser finds an account by any spelling of its name and does something to it.
func (c *cli) onUser(ctx context.Context, name string, do func(*admin, api.User) error) error {
	return c.withAdmin(ctx, func(a *admin) error {
		u, err := findUser(ctx, a, name)
		if err != nil {
			return err
		}
		return do(a, u)
	})
}

// warnWithoutAdmin says so when a change has left nobody who could administrate with a token. The change is
// done, and the command line goes on without one.
func (c *cli) warnWithoutAdmin(ctx context.Context, a *admin, before, after api.User) error {
	if !enabledAdmin(before) || enabledAdmin(after) {
		return nil
	}
	left := false
	err := eachPage(ctx, a, "/admin/users", nil, 0, func(users []api.User) (bool, error) {
		left = slices.ContainsFunc(users, enabledAdmin)
		return !left, nil
	})
	if err == nil && !left {
		fmt.Fprintln(c.stderr, "warning: no enabled account has the role admin now: only this command line administrates")
	}
	return err
}

func enabledAdmin(u api.User) bool { return !u.Disabled && slices.Contains(u.Roles, login.AdminRole) }
