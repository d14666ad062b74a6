package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"devicegate/api"
	"devicegate/password"
)

func (c *cli) userRole() *cobra.Command {
	var add, remove []string
	cmd := &cobra.Command{
		Use:   "role NAME",
		Short: "Give an account roles, or take them",
		Long: `Give an account roles, or take them. They count from its next request on. Where the new ones lower how
many devices it may have, the least recently used of them end.`,
		Example: `  devicegate user role alice --add staff
  devicegate user role alice --add admin --remove staff`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := checkRoleFlags(add, remove); err != nil {
				return err
			}
			return c.changeUser(cmd.Context(), names[0], func(u api.User) api.UserUpdate {
				roles := changeRoles(u.Roles, add, remove)
				return api.UserUpdate{Roles: &roles}
			}, func(u api.User) error {
				if c.output == "json" {
					return c.printJSON(u)
				}
				_, err := fmt.Fprintf(c.stdout, "The account %s has %s.\n", clean(u.Name), rolesInWords(u.Roles))
				return err
			})
		},
	}
	cmd.Flags().StringArrayVar(&add, "add", nil, "`ROLE` to give; can be given several times")
	cmd.Flags().StringArrayVar(&remove, "remove", nil, "`ROLE` to take; can be given several times")
	return cmd
}

func checkRoleFlags(add, remove []string) error {
	if len(add)+len(remove) == 0 {
		return &usageError{"nothing to change: say --add ROLE or --remove ROLE"}
	}
	for _, role := range add {
		if slices.Contains(remove, role) {
			return &usageError{fmt.Sprintf("--add %s and --remove %s exclude each other", role, role)}
		}
	}
	return nil
}

// changeRoles returns roles with the changes, in their order. To add what is there and to remove what is
// not changes nothing.
func changeRoles(roles, add, remove []string) []string {
	changed := []string{}
	for _, role := range slices.Concat(roles, add) {
		if !slices.Contains(changed, role) && !slices.Contains(remove, role) {
			changed = append(changed, role)
		}
	}
	return changed
}

func rolesInWords(roles []string) string {
	switch len(roles) {
	case 0:
		return "no role"
	case 1:
		return "the role " + roles[0]
	default:
		return "the roles " + strings.Join(roles, ", ")
	}
}

func (c *cli) userPassword() *cobra.Command {
	var flags passwordFlags
	cmd := &cobra.Command{
		Use:   "password NAME",
		Short: "Set the password of an account and end all its devices",
		Long: `Set the password of an account and end all its devices. The password is asked for twice on a terminal,
read from standard input with --password-stdin, or made and printed with --generate; it is never an
argument, which others could see.`,
		Example: `  devicegate user password alice
  devicegate user password alice --generate`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, names []string) error {
			given, err := flags.read(c)
			if err != nil {
				return err
			}
			next := given
			if next == nil {
				made, err := password.Generate(rand.Reader)
				if err != nil {
					return err
				}
				next = &made
			}
			return c.changeUser(cmd.Context(), names[0],
				func(api.User) api.UserUpdate { return api.UserUpdate{Password: next} },
				func(u api.User) error { return c.printPassword(u, next, given == nil) })
		},
	}
	flags.register(cmd)
	return cmd
}

// printPassword shows a password only where it was made here.
func (c *cli) printPassword(u api.User, next *string, made bool) error {
	if c.output == "json" {
		out := map[string]any{"id": u.Id, "name": u.Name, "roles": u.Roles}
		if made {
			out["password"] = *next
		}
		return c.printJSON(out)
	}
	_, err := fmt.Fprintf(c.stdout, "The account %s has a new password; all its devices have ended.\n", clean(u.Name))
	if made && err == nil {
		_, err = fmt.Fprintf(c.stdout, "Its password, shown this once: %s\n", *next)
	}
	return err
}

// changeUser finds an account by any spelling of its name, makes the change, and prints what came of it.
func (c *cli) changeUser(ctx context.Context, name string, change func(api.User) api.UserUpdate, print func(api.User) error) error {
	return c.onUser(ctx, name, func(a *admin, before api.User) error {
		var after api.User
		if err := a.call(ctx, http.MethodPatch, "/admin/users/"+before.Id, change(before), &after); err != nil {
			return orNo(err, "there is no user %q", name)
		}
		if err := print(after); err != nil {
			return err
		}
		return c.warnWithoutAdmin(ctx, a, before, after)
	})
}
