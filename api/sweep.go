package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

// sweepPage bounds the users that one call of the sweep looks at, so that none takes long and a caller
// can show how far it is.
const sweepPage = 200

// maxSweepAge bounds an age, in seconds (100 years): one that does not fit a duration would wrap around to
// a moment in the future, before which every device was last used.
const maxSweepAge = 100 * 365 * 24 * 60 * 60

// sweepDevices ends the devices of one page of users that were not used for a while.
func (s *server) sweepDevices(ctx context.Context, c echo.Context, by admin) error {
	body, err := decode[DeviceSweep](c)
	if err != nil {
		return err
	}
	if body.OlderThanSeconds < 0 || body.OlderThanSeconds > maxSweepAge {
		return invalid("/older_than_seconds", "This must be from 0 to "+strconv.Itoa(maxSweepAge)+".")
	}
	var after uuid.UUID
	if body.Cursor != nil {
		if after, err = uidOf(*body.Cursor); err != nil {
			return invalid("/cursor", "This is not a cursor that a call before returned.")
		}
	}
	dryRun := body.DryRun != nil && *body.DryRun
	cutoff := s.Now().Add(-time.Duration(body.OlderThanSeconds) * time.Second)
	users, err := s.Login.Users.List(ctx, after, sweepPage)
	if err != nil {
		return err
	}
	result := DeviceSweepResult{}
	for _, u := range users {
		n, err := s.Login.SweepDevices(ctx, by.By, u.ID, cutoff, by.device, dryRun)
		if err != nil {
			return err
		}
		result.SweptCount += n
	}
	if len(users) == sweepPage {
		next := users[len(users)-1].ID.String()
		result.Next = &next
	}
	return c.JSON(http.StatusOK, result)
}
