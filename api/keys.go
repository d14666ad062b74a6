package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"devicegate/activity"
	"devicegate/token"
)

// keysRotated is the reason of the event of a rotation on command.
const keysRotated = "keys_rotated"

func (s *server) listKeys(_ context.Context, c echo.Context, _ admin) error {
	list := KeyList{Results: []Key{}}
	for _, k := range s.Keys.Keys() {
		list.Results = append(list.Results, keyOf(k))
	}
	return c.JSON(http.StatusOK, list)
}

func (s *server) rotateKeys(ctx context.Context, c echo.Context, by admin) error {
	body, err := decode[KeyRotation](c)
	if err != nil {
		return err
	}
	ctx = activity.Telling(ctx, by.Event(activity.Admin, keysRotated))
	key, err := s.Keys.Rotate(ctx, s.Now(), token.RotateOptions{RetireOthers: body.RetireNow != nil && *body.RetireNow})
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, keyOf(key))
}

func keyOf(k token.Key) Key {
	return Key{
		Kid: k.ID, Algorithm: KeyAlgorithm(k.Algorithm), State: KeyState(k.State), Source: KeySource(k.Source),
		CreatedAt: moment(k.Created), SignsFrom: moment(k.SignsFrom), RetiresAt: moment(k.RetiresAt),
	}
}

// moment returns null for a time that is not known or not set.
func moment(at time.Time) *time.Time {
	if at.IsZero() {
		return nil
	}
	at = at.UTC()
	return &at
}
