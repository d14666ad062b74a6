package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/activity"
	"devicegate/login"
	"devicegate/reason"
)

// admin is who administrates.
type admin struct {
	activity.By
	device uuid.UUID // that he does it from, where he has a token
	// authority must hold when anything is written; nil for the socket.
	authority login.Authority
}

// adminHandler is a call of the administration.
type adminHandler func(ctx context.Context, c echo.Context, by admin) error

// entrance says who administrates, or refuses.
type entrance func(c echo.Context) (admin, error)

// to leads through the entrance to a call.
func (enter entrance) to(next adminHandler) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := enter(c); err != nil {
			return err
		}
		receive(c)
		by, err := enter(c) // again: the body may have taken its time
		if err != nil {
			return err
		}
		switch c.Request().Method {
		case http.MethodGet, http.MethodDelete:
			if err := noBody(c); err != nil {
				return err
			}
		}
		return next(login.Acting(c.Request().Context(), by.authority), c, by)
	}
}

// anybody lets everybody in who got as far as this: the file permissions of the socket are the guard.
func anybody(actor string) entrance {
	return func(echo.Context) (admin, error) { return admin{By: activity.By{Actor: actor}}, nil }
}

// adminByToken lets in who carries the access token of a local user with the role admin. The role is the
// one that the user has now, not the token's.
func (s *server) adminByToken(c echo.Context) (admin, error) {
	caller, err := s.caller(c)
	if err != nil {
		return admin{}, err
	}
	// The role comes from the account here, never from what another issuer says.
	if caller.Issuer != "" || !slices.Contains(caller.Roles, login.AdminRole) {
		return admin{}, refused(reason.RoleMissing)
	}
	client := s.clientOf(c.Request())
	by := activity.By{Actor: activity.ByAdmin(caller.Name), IP: client.IP, UserAgent: client.UserAgent}
	return admin{By: by, device: caller.Device, authority: s.Login.AdminAuthority(caller)}, nil
}
