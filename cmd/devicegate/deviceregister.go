package main

import (
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"devicegate/api"
)

func (c *cli) deviceRegister() *cobra.Command {
	var issuer, user, name string
	cmd := &cobra.Command{
		Use:   "register DEVICE --issuer ISSUER --user-id ID",
		Short: "Let in a device of another issuer",
		Long: `Let in a device that tokens of a configured issuer name, where unknown devices of it are refused. DEVICE is
what the token says: a UUID, or whatever else stands there, such as the sid of an identity provider.

A device that was ended does not come back.`,
		Example: `  devicegate device register a1000b35-9ca4-42e7-acca-8ee2b9eb3fea --issuer django --user-id 7
  devicegate device register qVv6OyB1S1tYb0Jv3yq3Zk9R --issuer keycloak --user-id 5d1c3a52-6c86-4f43-8f0d-1f3fb2ad9d0e`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, devices []string) error {
			if issuer == "" || user == "" {
				return &usageError{"say whose device it is: --issuer ISSUER --user-id ID"}
			}
			body := api.ForeignDeviceClaim{Issuer: issuer, UserId: api.ForeignUserID(user), Device: devices[0]}
			if name != "" {
				body.Name = &name
			}
			return c.register(cmd, body)
		},
	}
	cmd.Flags().StringVar(&issuer, "issuer", "", "`ISSUER` is the name of one in the configuration")
	cmd.Flags().StringVar(&user, "user-id", "", "`ID` of the user, as its tokens have it")
	cmd.Flags().StringVar(&name, "name", "", "what the device is called")
	return cmd
}

func (c *cli) register(cmd *cobra.Command, body api.ForeignDeviceClaim) error {
	return c.withAdmin(cmd.Context(), func(a *admin) error {
		var d api.UserDevice
		if err := a.call(cmd.Context(), http.MethodPost, "/admin/devices", body, &d); err != nil {
			return err
		}
		if c.output == "json" {
			return c.printJSON(d)
		}
		_, err := fmt.Fprintf(c.stdout, "The device %s of %s may pass.\n", nameOf(d), clean(d.UserName))
		return err
	})
}
