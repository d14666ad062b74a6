package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/device"
	"devicegate/login"
	"devicegate/token/foreign"
)

// ForeignUserID is a user of another issuer as its tokens name him: text, or a whole number, which is the same
// as its digits.
type ForeignUserID string

// UnmarshalJSON implements json.Unmarshaler.
func (f *ForeignUserID) UnmarshalJSON(b []byte) error {
	id, ok := foreign.ParseUserID(b)
	if !ok {
		return errors.New("neither text nor a whole number")
	}
	*f = ForeignUserID(id)
	return nil
}

// accountID reads the id of an account from a path. A user of another issuer whom a check has just let pass is stored
// first: an admin who ends him now must not be told that he is not there.
func (s *server) accountID(ctx context.Context, c echo.Context) (uuid.UUID, error) {
	id, err := uidOf(c.Param("id"))
	if err != nil {
		return uuid.UUID{}, err
	}
	return id, s.Login.Devices.Settle(ctx, id)
}

func (s *server) registerDevice(ctx context.Context, c echo.Context, by admin) error {
	uid, err := uidOf(c.Param("device_uid"))
	if err != nil {
		return err
	}
	if uid == uuid.Nil {
		return errNotFound // nobody's: no token can name it
	}
	body, err := decode[ForeignDevice](c)
	if err != nil {
		return err
	}
	return s.register(ctx, c, by, body, uid)
}

func (s *server) registerDeviceByClaim(ctx context.Context, c echo.Context, by admin) error {
	body, err := decode[ForeignDeviceClaim](c)
	if err != nil {
		return err
	}
	if body.Device == "" || len(body.Device) > foreign.MaxDeviceClaim {
		return invalid("/device", "Ensure this field has at least 1 and at most 512 bytes.")
	}
	uid := foreign.DeviceUID(body.Issuer, body.Device)
	if uid == uuid.Nil {
		return invalid("/device", "The zero UUID is no device.")
	}
	return s.register(ctx, c, by, ForeignDevice{Issuer: body.Issuer, UserId: body.UserId, Name: body.Name}, uid)
}

// register lets a device in for an admin.
func (s *server) register(ctx context.Context, c echo.Context, by admin, body ForeignDevice, uid uuid.UUID) error {
	if !slices.Contains(s.Issuers, body.Issuer) {
		return invalid("/issuer", "No issuer of that name is configured.")
	}
	owner := foreign.Owner(body.Issuer, string(body.UserId))
	if err := s.Login.Users.Check(owner, nil); body.UserId == "" || err != nil {
		return invalid("/user_id", "Together with the issuer's name this must be usable as a user's name: at most 150 characters, none of them invisible.")
	}
	name := deref(body.Name)
	if err := checkDeviceName("/name", name); err != nil {
		return err
	}
	rec, err := s.Login.Devices.Register(ctx, device.Registration{
		User: foreign.UserID(owner), Device: uid, Issuer: body.Issuer, Owner: owner, Name: name, Limit: s.HardLimit,
	}, by.By)
	if err != nil {
		return err
	}
	u, err := s.Login.Users.ByID(ctx, rec.User)
	if errors.Is(err, login.ErrNoUser) { // removed a moment ago
		return errNotFound
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, s.userDeviceOf(rec, u.Name, by))
}
