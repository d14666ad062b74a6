package api

import (
	"errors"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"devicegate/device"
	"devicegate/login"
	"devicegate/reason"
)

func (s *server) signIn(c echo.Context) error {
	body, err := decode[SignIn](c)
	if err != nil {
		return err
	}
	name := deref(body.DeviceName)
	if err := checkDeviceName("/device_name", name); err != nil {
		return err
	}
	session, err := s.Login.SignIn(c.Request().Context(), login.SignIn{
		Name: body.Username, Password: body.Password, DeviceName: name, Client: s.clientOf(c.Request()),
		Refresh: deref(body.Refresh), Cookie: deviceCookie(c.Request()), Secure: s.secure(c.Request()),
	})
	if err != nil {
		return err
	}
	if session.Cookie != "" {
		setDeviceCookie(c.Response(), session.Cookie)
	}
	return c.JSON(http.StatusOK, tokensOf(session))
}

func (s *server) refreshToken(c echo.Context) error {
	body, err := decode[RefreshRequest](c)
	if err != nil {
		return err
	}
	session, err := s.Login.Refresh(c.Request().Context(), body.Refresh, s.clientOf(c.Request()))
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, tokensOf(session))
}

// verifyToken takes access and refresh tokens. Asking is no use of the device, so it leaves no trace.
func (s *server) verifyToken(c echo.Context) error {
	body, err := decode[VerifyRequest](c)
	if err != nil {
		return err
	}
	if login.IsRefreshToken(body.Token) {
		err = s.Login.VerifyRefresh(c.Request().Context(), body.Token)
	} else if err = s.verifyAccess(body.Token); isWrongType(err) {
		err = s.Login.VerifyForeign(c.Request().Context(), body.Token)
	}
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, Empty{})
}

// isWrongType reports whether a token is good but no access token: it may be a refresh token of another issuer.
func isWrongType(err error) bool {
	var refusal *login.RefusedError
	return errors.As(err, &refusal) && refusal.Reason == reason.TokenWrongType
}

func (s *server) verifyAccess(raw string) error {
	if why := s.Devices.State(); why != reason.OK {
		return refused(why)
	}
	verified, why := s.Tokens.Verify(raw)
	if why != reason.OK {
		return refused(why)
	}
	use := device.Use{User: verified.User, Device: verified.Device, Generation: verified.Generation, At: s.Now(), Foreign: verified.Foreign}
	if _, why := s.Devices.Peek(use); why != reason.OK {
		return refused(why)
	}
	return nil
}

func (s *server) revokeToken(c echo.Context) error {
	body, err := decode[RefreshRequest](c)
	if err != nil {
		return err
	}
	if err := s.Login.Revoke(c.Request().Context(), body.Refresh, s.clientOf(c.Request())); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func tokensOf(s login.Session) Tokens {
	return Tokens{
		Access: s.Access, Refresh: s.Refresh, DeviceUid: s.Device.String(),
		TokenType: "Bearer", ExpiresIn: int(s.ExpiresIn / time.Second),
	}
}

// checkDeviceName bounds a name that other people and logs will show.
func checkDeviceName(pointer, name string) error {
	if utf8.RuneCountInString(name) > device.MaxName {
		return invalid(pointer, "Ensure this field has no more than 255 characters.")
	}
	for _, r := range name {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return invalid(pointer, "A name has no control characters or line breaks, and none that turn the direction of writing.")
		}
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
