package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/lockout"
	"devicegate/login"
)

func (s *server) listLockouts(ctx context.Context, c echo.Context, _ admin) error {
	query := c.QueryParams()
	limit, err := pageLimit(query)
	if err != nil {
		return err
	}
	var q lockout.Query
	if q.Network, err = networkParam(query, "network"); err != nil {
		return err
	}
	if q.All = query.Get("all") == "true"; query.Has("all") && !q.All && query.Get("all") != "false" {
		return invalid("", "The query parameter all must be true or false.")
	}
	if query.Has("user") { // also an empty name, which can be tried
		q.NameHash = login.NameHash(query.Get("user"))
	}
	found, next, err := s.Lockout.List(ctx, q, query.Get("cursor"), limit)
	if errors.Is(err, lockout.ErrNotFound) {
		return errCursor
	}
	if err != nil {
		return err
	}
	page := LockoutPage{Results: make([]Lockout, len(found))}
	if next != "" {
		page.Next = &next
	}
	for i, l := range found {
		page.Results[i] = lockoutOf(l)
	}
	return c.JSON(http.StatusOK, page)
}

func lockoutOf(l lockout.Lockout) Lockout {
	out := Lockout{Id: l.ID, Name: l.Name, Network: l.Network, Failures: l.Failures}
	if l.Device != (uuid.UUID{}) {
		out.DeviceUid = l.Device.String()
	}
	if !l.LockedUntil.IsZero() {
		until := l.LockedUntil.UTC()
		out.LockedUntil = &until
	}
	return out
}

func (s *server) clearLockout(ctx context.Context, c echo.Context, by admin) error {
	if err := s.Login.ClearLockout(ctx, by.By, c.Param("id")); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
