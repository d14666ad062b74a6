package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"devicegate/login"
)

// Bounds of a page of accounts.
const (
	defaultPage = 100
	maxPage     = 500
)

func (s *server) createUser(ctx context.Context, c echo.Context, by admin) error {
	body, err := decode[NewUser](c)
	if err != nil {
		return err
	}
	var roles []string
	if body.Roles != nil {
		roles = *body.Roles
	}
	if err := s.Login.Users.Check(body.Name, roles); err != nil {
		return userFault(err)
	}
	password, made, err := s.passwordFor(body.Name, body.Password)
	if err != nil {
		return err
	}
	hash, err := s.Passwords.Hash(ctx, password)
	if err != nil {
		return fmt.Errorf("%w: %w", login.ErrBusy, err)
	}
	u, err := s.Login.CreateUser(ctx, by.By, body.Name, roles, hash)
	if err != nil {
		return userFault(err)
	}
	c.Response().Header().Set("Location", "/admin/users/"+u.ID.String())
	if !made {
		return c.JSON(http.StatusCreated, createdOf(u, nil))
	}
	return c.JSON(http.StatusCreated, createdOf(u, &password))
}

// passwordFor checks the given password, or makes one.
func (s *server) passwordFor(name string, given *string) (password string, made bool, err error) {
	if given == nil {
		password, err = s.MakePassword()
		return password, true, err
	}
	if err := s.CheckPassword(name, *given); err != nil {
		return "", false, invalid("/password", sentence(err.Error()))
	}
	return *given, false, nil
}

// userFault names the member that an account was refused for.
func userFault(err error) error {
	var bad *login.InvalidError
	if errors.As(err, &bad) {
		return invalid("/"+bad.Member, sentence(bad.Detail))
	}
	return err
}

// sentence makes an error's text one.
func sentence(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}

func (s *server) listUsers(ctx context.Context, c echo.Context, _ admin) error {
	// Who has just been seen for the first time is there too. A store that takes no writes can still be read.
	_ = s.Login.Devices.StoreArrivals(ctx)
	limit, err := pageLimit(c.QueryParams())
	if err != nil {
		return err
	}
	if query := c.QueryParams(); query.Has("name") { // also an empty one, which is nobody's
		return s.listNamed(ctx, c, query.Get("name"))
	}
	after, err := cursorID(c.QueryParam("cursor"))
	if err != nil {
		return err
	}
	users, err := s.Login.Users.List(ctx, after, limit+1)
	if err != nil {
		return err
	}
	page := UserPage{Results: []User{}}
	if len(users) > limit {
		users = users[:limit]
		next := users[limit-1].ID.String()
		page.Next = &next
	}
	for _, u := range users {
		page.Results = append(page.Results, userOf(u))
	}
	return c.JSON(http.StatusOK, page)
}

// listNamed answers with the one account that any spelling of name means, or none.
func (s *server) listNamed(ctx context.Context, c echo.Context, name string) error {
	page := UserPage{Results: []User{}}
	if err := s.Login.Devices.StoreArrivals(ctx); err != nil {
		return err // nobody knows who may be among them
	}
	u, err := s.Login.Users.ByName(ctx, name)
	switch {
	case err == nil:
		page.Results = append(page.Results, userOf(u))
	case !errors.Is(err, login.ErrNoUser):
		return err
	}
	return c.JSON(http.StatusOK, page)
}

func pageLimit(query url.Values) (int, error) {
	if !query.Has("limit") {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(query.Get("limit"))
	if err != nil || n < 1 || n > maxPage {
		return 0, invalid("", fmt.Sprintf("The query parameter limit must be a number from 1 to %d.", maxPage))
	}
	return n, nil
}

func (s *server) getUser(ctx context.Context, c echo.Context, _ admin) error {
	id, err := s.accountID(ctx, c)
	if err != nil {
		return err
	}
	u, err := s.Login.Users.ByID(ctx, id)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, userOf(u))
}

func (s *server) updateUser(ctx context.Context, c echo.Context, by admin) error {
	id, err := s.accountID(ctx, c)
	if err != nil {
		return err
	}
	body, err := decode[UserUpdate](c)
	if err != nil {
		return err
	}
	if body.Password != nil {
		u, err := s.Login.Users.ByID(ctx, id)
		if err != nil {
			return err
		}
		if err := s.CheckPassword(u.Name, *body.Password); err != nil {
			return invalid("/password", sentence(err.Error()))
		}
	}
	u, err := s.Login.UpdateUser(ctx, by.By, id, login.Update{Roles: body.Roles, Disabled: body.Disabled, Password: body.Password})
	if err != nil {
		return userFault(err)
	}
	return c.JSON(http.StatusOK, userOf(u))
}

func (s *server) deleteUser(ctx context.Context, c echo.Context, by admin) error {
	id, err := s.accountID(ctx, c)
	if err != nil {
		return err
	}
	if err := s.Login.DeleteUser(ctx, by.By, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func userOf(u login.User) User {
	out := User{Id: u.ID.String(), Name: u.Name, Roles: u.Roles, Disabled: u.Disabled, CreatedAt: u.CreatedAt.UTC()}
	if out.Roles == nil {
		out.Roles = []string{}
	}
	if u.Issuer != "" {
		out.Issuer = &u.Issuer
	}
	if !u.LastSignInAt.IsZero() {
		at := u.LastSignInAt.UTC()
		out.LastSignInAt = &at
	}
	return out
}

// createdOf is userOf with the password that is shown once.
func createdOf(u login.User, password *string) CreatedUser {
	out := userOf(u)
	return CreatedUser{
		Id: out.Id, Name: out.Name, Roles: out.Roles, Disabled: out.Disabled,
		CreatedAt: out.CreatedAt, LastSignInAt: out.LastSignInAt, Password: password,
	}
}
