package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

// userOfPath returns the user whom the path names.
func (s *server) userOfPath(ctx context.Context, c echo.Context) (login.User, error) {
	id, err := s.accountID(ctx, c)
	if err != nil {
		return login.User{}, err
	}
	return s.Login.Users.ByID(ctx, id)
}

func (s *server) listUserDevices(ctx context.Context, c echo.Context, by admin) error {
	u, err := s.userOfPath(ctx, c)
	if err != nil {
		return err
	}
	records, err := s.Login.Devices.List(ctx, u.ID)
	if err != nil {
		return err
	}
	devices := make([]UserDevice, len(records))
	for i, rec := range records {
		devices[i] = s.userDeviceOf(rec, u.Name, by)
	}
	return c.JSON(http.StatusOK, devices)
}

func (s *server) endUserDevices(ctx context.Context, c echo.Context, by admin) error {
	u, err := s.userOfPath(ctx, c)
	if err != nil {
		return err
	}
	ended, err := s.Login.EndAll(ctx, by.By, u.ID)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, RevokedDevices{RevokedCount: ended})
}

func (s *server) updateUserDevice(ctx context.Context, c echo.Context, by admin) error {
	u, err := s.userOfPath(ctx, c)
	if err != nil {
		return err
	}
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	change, err := readChange(c)
	if err != nil {
		return err
	}
	rec, err := s.Login.ChangeDevice(ctx, by.By, u.ID, uid, change)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.userDeviceOf(rec, u.Name, by))
}

func (s *server) endUserDevice(ctx context.Context, c echo.Context, by admin) error {
	u, err := s.userOfPath(ctx, c)
	if err != nil {
		return err
	}
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	if err := s.Login.EndDevice(ctx, by.By, u.ID, uid); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) findDevice(ctx context.Context, c echo.Context, by admin) error {
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	// A device that the index has not read yet is not told from one that is not there.
	if why := s.Devices.State(); why != reason.OK {
		return refused(why)
	}
	owner, known := s.Devices.Owner(uid)
	if !known {
		return errNotFound
	}
	rec, err := s.Login.Devices.Get(ctx, owner, uid)
	if err != nil {
		return err
	}
	u, err := s.Login.Users.ByID(ctx, owner)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.userDeviceOf(rec, u.Name, by))
}

// listAllDevices goes on where a cursor, a user's id and a device's, says.
func (s *server) listAllDevices(ctx context.Context, c echo.Context, by admin) error {
	// Who has just been seen for the first time is there too. A store that takes no writes can still be read.
	_ = s.Login.Devices.StoreArrivals(ctx)
	limit, err := pageLimit(c.QueryParams())
	if err != nil {
		return err
	}
	var user, after uuid.UUID
	if cursor := c.QueryParam("cursor"); cursor != "" {
		left, right, _ := strings.Cut(cursor, ".")
		var bad, worse error
		user, bad = uidOf(left)
		after, worse = uidOf(right)
		if bad != nil || worse != nil {
			return errCursor
		}
	}
	records, lastUser, last, more, err := s.Login.Devices.Page(ctx, user, after, limit)
	if err != nil {
		return err
	}
	page := DevicePage{Results: []UserDevice{}}
	if more {
		next := lastUser.String() + "." + last.String()
		page.Next = &next
	}
	names := map[uuid.UUID]string{}
	for _, rec := range records {
		if _, known := names[rec.User]; !known {
			u, err := s.Login.Users.ByID(ctx, rec.User)
			if errors.Is(err, login.ErrNoUser) {
				continue // he has just been removed, and his devices with him
			}
			if err != nil {
				return err
			}
			names[rec.User] = u.Name
		}
		page.Results = append(page.Results, s.userDeviceOf(rec, names[rec.User], by))
	}
	return c.JSON(http.StatusOK, page)
}

func (s *server) userDeviceOf(rec device.Record, name string, by admin) UserDevice {
	d := s.deviceOf(rec, device.Subject{Device: by.device})
	var issuer *string
	if rec.Issuer != "" {
		issuer = &rec.Issuer
	}
	return UserDevice{
		DeviceUid: d.DeviceUid, Name: d.Name, UserAgent: d.UserAgent, IpAddress: d.IpAddress, LastIp: d.LastIp,
		Country: d.Country, Region: d.Region, City: d.City,
		LastSeen: d.LastSeen, CreatedAt: d.CreatedAt, ExpiresAt: d.ExpiresAt,
		CanUpdateOtherDevices: d.CanUpdateOtherDevices, CanDeleteOtherDevices: d.CanDeleteOtherDevices,
		IsCurrent: d.IsCurrent, UserId: rec.User.String(), UserName: name, Issuer: issuer,
	}
}
