package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"devicegate/api"
)

func (c *cli) device() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "device",
		Short: "Look after devices",
		Long: `Look after devices: through the admin socket of the running service, or, where nothing listens there,
on the closed file.`,
		Example: `  devicegate device list --user alice
  devicegate device revoke a1000b35-9ca4-42e7-acca-8ee2b9eb3fea`,
		Args: args(cobra.ArbitraryArgs),
		RunE: helpOnly,
	}
	cmd.AddCommand(c.deviceList(), c.deviceShow(), c.deviceRevoke(), c.deviceRights(), c.deviceRegister(), c.deviceSweep())
	return cmd
}

func (c *cli) deviceList() *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the devices of a user, or of all",
		Example: `  devicegate device list
  devicegate device list --user alice -o json`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list := listing[api.UserDevice]{c, c.table("DEVICE", "USER", "NAME", "LAST SEEN", "FROM", "SIGNED IN"), deviceRow}
			if !cmd.Flags().Changed("user") {
				return c.withAdmin(cmd.Context(), func(a *admin) error {
					return list.print(cmd.Context(), a, "/admin/devices", nil, 0)
				})
			}
			return c.onUser(cmd.Context(), user, func(a *admin, u api.User) error {
				var devices []api.UserDevice
				if err := a.call(cmd.Context(), http.MethodGet, "/admin/users/"+u.Id+"/devices", nil, &devices); err != nil {
					return orNo(err, "there is no user %q", user)
				}
				if err := list.page(devices); err != nil {
					return err
				}
				return list.end()
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "only those of `NAME`, newest first")
	return cmd
}

func deviceRow(d api.UserDevice) []cell {
	return plainCells(d.DeviceUid, d.UserName, short(d.Name), when(d.LastSeen), from(d.LastIp, lastPlace(d)), when(d.CreatedAt))
}

// lastPlace is the place of the sign-in, where that is also where the device was last used from.
func lastPlace(d api.UserDevice) string {
	if d.LastIp != d.IpAddress {
		return ""
	}
	return placeOf(d)
}

func placeOf(d api.UserDevice) string { return place(deref(d.City), deref(d.Region), deref(d.Country)) }

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// when shows a moment, to the second.
func when(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// place names a place by its narrowest known part, and its country.
func place(city, region, country string) string {
	narrow := city
	if narrow == "" {
		narrow = region
	}
	if narrow != "" && country != "" {
		return narrow + ", " + country
	}
	return narrow + country
}

// from shows an address and its place, as far as they are known.
func from(ip, place string) string {
	if place == "" {
		return ip
	}
	return strings.TrimSpace(ip + " (" + place + ")")
}

func (c *cli) deviceShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show UID",
		Short: "Show one device",
		Example: `  devicegate device show a1000b35-9ca4-42e7-acca-8ee2b9eb3fea
  devicegate device show a1000b35-9ca4-42e7-acca-8ee2b9eb3fea -o json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, uids []string) error {
			return c.onDevice(cmd.Context(), uids[0], func(_ *admin, d api.UserDevice) error {
				if c.output == "json" {
					return c.printJSON(d)
				}
				return showDevice(c.stdout, d)
			})
		},
	}
}

func showDevice(to io.Writer, d api.UserDevice) error {
	var text strings.Builder
	for _, line := range [][2]string{
		{"device", d.DeviceUid},
		{"user", d.UserName + " (" + d.UserId + ")"},
		{"issuer", deref(d.Issuer)},
		{"name", d.Name},
		{"user agent", d.UserAgent},
		{"last seen", when(d.LastSeen)},
		{"last from", d.LastIp},
		{"signed in", when(d.CreatedAt)},
		{"signed in from", from(d.IpAddress, placeOf(d))},
		{"ends", when(d.ExpiresAt) + ", unless it refreshes before"},
		{"rights", rightsInWords(d)},
	} {
		if line[0] == "issuer" && line[1] == "" {
			continue // it signed in here
		}
		fmt.Fprintf(&text, "%-15s %s\n", line[0]+":", clean(line[1]))
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// onDevice finds a device, whosever it is, and does something to it.
func (c *cli) onDevice(ctx context.Context, uid string, do func(*admin, api.UserDevice) error) error {
	return c.withAdmin(ctx, func(a *admin) error {
		if _, err := uuid.Parse(uid); err != nil { // it could lead to another path
			return noDevice(uid)
		}
		var d api.UserDevice
		if err := a.call(ctx, http.MethodGet, "/admin/devices/"+url.PathEscape(uid), nil, &d); err != nil {
			return orNo(err, "%v", noDevice(uid))
		}
		return do(a, d)
	})
}

func noDevice(uid string) error {
	return &noError{fmt.Sprintf("there is no device %q; devicegate device list shows those there are", uid)}
}
