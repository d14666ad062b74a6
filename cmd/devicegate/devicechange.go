package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"devicegate/api"
)

func (c *cli) deviceRevoke() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "revoke UID | revoke --user NAME",
		Short: "End a device, or all devices of a user",
		Long: `End a device, or all devices of a user: from the next request on they are refused. The user may sign in
again; disable him if he must not.`,
		Example: `  devicegate device revoke a1000b35-9ca4-42e7-acca-8ee2b9eb3fea
  devicegate device revoke --user alice`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, uids []string) error {
			byUser := cmd.Flags().Changed("user")
			if byUser == (len(uids) == 1) {
				return &usageError{"say either the UID of a device or --user NAME"}
			}
			if byUser {
				return c.revokeAll(cmd, user)
			}
			return c.revokeOne(cmd, uids[0])
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "all devices of `NAME`")
	return cmd
}

func (c *cli) revokeOne(cmd *cobra.Command, uid string) error {
	return c.onDevice(cmd.Context(), uid, func(a *admin, d api.UserDevice) error {
		if err := a.call(cmd.Context(), http.MethodDelete, pathOf(d), nil, nil); err != nil {
			return orNo(err, "%v", noDevice(uid))
		}
		if c.output == "json" {
			return c.printJSON(api.RevokedDevices{RevokedCount: 1})
		}
		_, err := fmt.Fprintf(c.stdout, "Ended the device %s of %s.\n", nameOf(d), clean(d.UserName))
		return err
	})
}

func (c *cli) revokeAll(cmd *cobra.Command, name string) error {
	return c.onUser(cmd.Context(), name, func(a *admin, u api.User) error {
		var done api.RevokedDevices
		if err := a.call(cmd.Context(), http.MethodDelete, "/admin/users/"+u.Id+"/devices", nil, &done); err != nil {
			return orNo(err, "there is no user %q", name)
		}
		if c.output == "json" {
			return c.printJSON(done)
		}
		_, err := fmt.Fprintf(c.stdout, "Ended %s of %s.\n", devices(done.RevokedCount), clean(u.Name))
		return err
	})
}

// pathOf returns the path of a device under its user.
func pathOf(d api.UserDevice) string { return "/admin/users/" + d.UserId + "/devices/" + d.DeviceUid }

// nameOf names a device in a sentence.
func nameOf(d api.UserDevice) string { return fmt.Sprintf("%q (%s)", clean(d.Name), d.DeviceUid) }

func (c *cli) deviceRights() *cobra.Command {
	var update, remove string
	cmd := &cobra.Command{
		Use:   "rights UID",
		Short: "Say what a device may do to others of its user",
		Long: `Say what a device may do to others of its user: change them, and end them. It is the way back for a user
whose devices have all lost these rights.`,
		Example: `  devicegate device rights a1000b35-9ca4-42e7-acca-8ee2b9eb3fea --update yes --delete yes
  devicegate device rights a1000b35-9ca4-42e7-acca-8ee2b9eb3fea --delete no`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, uids []string) error {
			change, err := rightsChange(cmd, update, remove)
			if err != nil {
				return err
			}
			return c.onDevice(cmd.Context(), uids[0], func(a *admin, d api.UserDevice) error {
				if err := a.call(cmd.Context(), http.MethodPatch, pathOf(d), change, &d); err != nil {
					return orNo(err, "%v", noDevice(uids[0]))
				}
				if c.output == "json" {
					return c.printJSON(d)
				}
				_, err := fmt.Fprintf(c.stdout, "The device %s of %s %s.\n", nameOf(d), clean(d.UserName), rightsInWords(d))
				return err
			})
		},
	}
	cmd.Flags().StringVar(&update, "update", "", "whether it may change others: `yes|no`")
	cmd.Flags().StringVar(&remove, "delete", "", "whether it may end others: `yes|no`")
	return cmd
}

// rightsChange reads the flags; one that is not given changes nothing.
func rightsChange(cmd *cobra.Command, update, remove string) (change api.DeviceUpdate, err error) {
	for _, f := range []struct {
		name, value string
		right       **bool
	}{{"update", update, &change.CanUpdateOtherDevices}, {"delete", remove, &change.CanDeleteOtherDevices}} {
		if !cmd.Flags().Changed(f.name) {
			continue
		}
		if f.value != "yes" && f.value != "no" {
			return change, &usageError{fmt.Sprintf("--%s %s: it is yes or no", f.name, f.value)}
		}
		yes := f.value == "yes"
		*f.right = &yes
	}
	if change.CanUpdateOtherDevices == nil && change.CanDeleteOtherDevices == nil {
		return change, &usageError{"nothing to change: say --update yes|no or --delete yes|no"}
	}
	return change, nil
}

func rightsInWords(d api.UserDevice) string {
	switch {
	case d.CanUpdateOtherDevices && d.CanDeleteOtherDevices:
		return "may change and end other devices"
	case d.CanUpdateOtherDevices:
		return "may change other devices, but not end them"
	case d.CanDeleteOtherDevices:
		return "may end other devices, but not change them"
	}
	return "may neither change nor end other devices"
}
