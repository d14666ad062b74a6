package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"devicegate/device"
	"devicegate/login"
)

func (s *server) changePassword(ctx context.Context, c echo.Context, caller device.Subject) error {
	body, err := decode[PasswordChange](c)
	if err != nil {
		return err
	}
	if err := s.CheckPassword(caller.Name, body.NewPassword); err != nil {
		return invalid("/new_password", sentence(err.Error()))
	}
	err = s.Login.ChangePassword(ctx, caller, body.CurrentPassword, body.NewPassword, s.clientOf(c.Request()))
	if errors.Is(err, login.ErrWrongPassword) {
		return invalid("/current_password", "This is not the current password.")
	}
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (s *server) resetPassword(c echo.Context) error {
	body, err := decode[PasswordReset](c)
	if err != nil {
		return err
	}
	err = s.Login.Reset(c.Request().Context(), body.ResetToken, body.NewPassword, s.clientOf(c.Request()), func(name, password string) error {
		if err := s.CheckPassword(name, password); err != nil {
			return invalid("/new_password", sentence(err.Error()))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// startReset makes a reset token for an admin to hand on.
func (s *server) startReset(ctx context.Context, c echo.Context, by admin) error {
	id, err := s.accountID(ctx, c)
	if err != nil {
		return err
	}
	if err := noBody(c); err != nil {
		return err
	}
	token, expires, err := s.Login.StartReset(ctx, by.By, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, PasswordResetToken{ResetToken: token, ExpiresAt: expires.UTC()})
}
