package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/device"
)

// readOnly are the members of a device that a client may send back unchanged; they do nothing.
var readOnly = []string{
	"device_uid", "user_agent", "ip_address", "last_ip", "country", "region", "city",
	"last_seen", "created_at", "expires_at", "is_current",
}

// oneDevice keeps the names of calls out of the routes of a device, where the router leads GET, PATCH and
// DELETE of /trusted-devices/logout.
func oneDevice(next echo.HandlerFunc) echo.HandlerFunc { return noCall(next, "logout", "revoke-all") }

// anyDevice is oneDevice for GET of /admin/devices/sweep.
func anyDevice(next echo.HandlerFunc) echo.HandlerFunc { return noCall(next, "sweep") }

func noCall(next echo.HandlerFunc, calls ...string) echo.HandlerFunc {
	return func(c echo.Context) error {
		if slices.Contains(calls, c.Param("device_uid")) {
			c.Response().Header().Set(echo.HeaderAllow, "OPTIONS, POST")
			return echo.ErrMethodNotAllowed
		}
		return next(c)
	}
}

func (s *server) listDevices(ctx context.Context, c echo.Context, caller device.Subject) error {
	records, err := s.Login.Devices.List(ctx, caller.User)
	if err != nil {
		return err
	}
	devices := make([]Device, len(records))
	for i, rec := range records {
		devices[i] = s.deviceOf(rec, caller)
	}
	return c.JSON(http.StatusOK, devices)
}

func (s *server) getDevice(ctx context.Context, c echo.Context, caller device.Subject) error {
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	rec, err := s.Login.Devices.Get(ctx, caller.User, uid)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.deviceOf(rec, caller))
}

func (s *server) updateDevice(ctx context.Context, c echo.Context, caller device.Subject) error {
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	change, err := readChange(c)
	if err != nil {
		return err
	}
	rec, err := s.Login.Change(ctx, caller, uid, change)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.deviceOf(rec, caller))
}

// readChange reads what is to be changed of a device.
func readChange(c echo.Context) (device.Change, error) {
	body, err := decode[DeviceUpdate](c, readOnly...)
	if err == nil {
		err = checkDeviceName("/name", deref(body.Name))
	}
	return device.Change{Name: body.Name, CanUpdateOthers: body.CanUpdateOtherDevices, CanDeleteOthers: body.CanDeleteOtherDevices}, err
}

func (s *server) deleteDevice(ctx context.Context, c echo.Context, caller device.Subject) error {
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	if err := noBody(c); err != nil {
		return err
	}
	if err := s.Login.EndOther(ctx, caller, uid, s.clientOf(c.Request())); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) logout(ctx context.Context, c echo.Context, caller device.Subject) error {
	if err := noBody(c); err != nil {
		return err
	}
	if err := s.Login.Logout(ctx, caller, s.clientOf(c.Request())); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) revokeAllDevices(ctx context.Context, c echo.Context, caller device.Subject) error {
	if err := noBody(c); err != nil {
		return err
	}
	ended, kept, err := s.Login.EndOthers(ctx, caller, s.clientOf(c.Request()))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, RevokeAllResult{RevokedCount: ended, KeptCount: kept})
}

// known returns null for what is not known.
func known(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// uidOf reads an id from a path. Only the one spelling that this service writes is an id; anything else
// names nothing.
func uidOf(s string) (uuid.UUID, error) {
	uid, err := uuid.Parse(s)
	if err != nil || uid.String() != s {
		return uuid.UUID{}, errNotFound
	}
	return uid, nil
}

func (s *server) deviceOf(rec device.Record, caller device.Subject) Device {
	lastSeen, lastIP := s.Login.Devices.LastUse(rec)
	return Device{
		DeviceUid: rec.UID.String(), Name: rec.Name, UserAgent: rec.UserAgent,
		IpAddress: rec.IPAddress, LastIp: lastIP,
		Country: known(rec.Country), Region: known(rec.Region), City: known(rec.City),
		LastSeen: lastSeen.UTC(), CreatedAt: rec.CreatedAt.UTC(), ExpiresAt: rec.ExpiresAt.UTC(),
		CanUpdateOtherDevices: rec.CanUpdateOthers, CanDeleteOtherDevices: rec.CanDeleteOthers,
		IsCurrent: rec.UID == caller.Device,
	}
}
