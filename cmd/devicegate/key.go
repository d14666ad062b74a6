package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"devicegate/api"
)

func (c *cli) key() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "See and rotate the keys that sign the tokens",
		Long: `See and rotate the keys that sign the tokens: through the admin socket of the running service, or, where
nothing listens there, on the closed file.`,
		Example: `  devicegate key list
  devicegate key rotate`,
		Args: args(cobra.ArbitraryArgs),
		RunE: helpOnly,
	}
	cmd.AddCommand(c.keyList(), c.keyRotate())
	return cmd
}

func (c *cli) keyList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Long: `List the keys: the one that signs, those that are only published, because they wait for their turn or
tokens of theirs still live, and those that are retired.`,
		Example: `  devicegate key list
  devicegate key list -o json`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				var keys api.KeyList
				if err := a.call(cmd.Context(), http.MethodGet, "/admin/keys", nil, &keys); err != nil {
					return err
				}
				list := listing[api.Key]{c, c.table("KEY", "ALGORITHM", "STATE", "CREATED", "SIGNS FROM", "RETIRES", "SOURCE"), keyRow}
				if err := list.page(keys.Results); err != nil {
					return err
				}
				return list.end()
			})
		},
	}
}

func keyRow(k api.Key) []cell {
	return plainCells(k.Kid, string(k.Algorithm), string(k.State), moment(k.CreatedAt), moment(k.SignsFrom), moment(k.RetiresAt), string(k.Source))
}

// moment shows a time that may not be known.
func moment(at *time.Time) string {
	if at == nil {
		return ""
	}
	return when(*at)
}

func (c *cli) keyRotate() *cobra.Command {
	var retireNow bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new key, which signs in an hour",
		Long: `Make a new key. It is published now and signs in an hour, when everybody who keeps a copy of the public
keys knows it; nobody is refused for it. With --retire-now, for a key that was stolen, it signs at once and
every other key is retired: all access tokens out there die, and clients get new ones with their refresh
tokens.`,
		Example: `  devicegate key rotate
  devicegate key rotate --retire-now`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAdmin(cmd.Context(), func(a *admin) error {
				var key api.Key
				body := api.KeyRotation{RetireNow: &retireNow}
				if err := a.call(cmd.Context(), http.MethodPost, "/admin/keys/rotate", body, &key); err != nil {
					return err
				}
				return c.printRotated(key, retireNow)
			})
		},
	}
	cmd.Flags().BoolVar(&retireNow, "retire-now", false, "retire every other key at once, for a key that was stolen")
	return cmd
}

func (c *cli) printRotated(key api.Key, retired bool) error {
	if c.output == "json" {
		return c.printJSON(key)
	}
	if retired {
		_, err := fmt.Fprintf(c.stdout, "The key %s signs now; every other key is retired.\n", key.Kid)
		return err
	}
	_, err := fmt.Fprintf(c.stdout, "The key %s is published, and signs from %s.\n", key.Kid, moment(key.SignsFrom))
	return err
}
