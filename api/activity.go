package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"devicegate/activity"
	"devicegate/device"
)

// listOwnActivity shows somebody what happened to his account.
func (s *server) listOwnActivity(ctx context.Context, c echo.Context, caller device.Subject) error {
	return s.answerEvents(ctx, c, activity.Query{User: &caller.User}, ownEvent)
}

// ownEvent hides which admin it was, and where he sits: his name is a name to sign in with.
func ownEvent(e activity.Event) activity.Event {
	switch {
	case strings.HasPrefix(e.Actor, activity.ByAdmin("")), e.Actor == activity.BySocket, e.Actor == activity.ByFile:
		e.Actor, e.IP, e.UserAgent = activity.ByAnAdmin, netip.Addr{}, ""
	}
	return e
}

// listActivity shows an admin what happened.
func (s *server) listActivity(ctx context.Context, c echo.Context, _ admin) error {
	q, err := s.activityQuery(ctx, c.QueryParams())
	if err != nil {
		return err
	}
	return s.answerEvents(ctx, c, q, func(e activity.Event) activity.Event { return e })
}

func (s *server) answerEvents(ctx context.Context, c echo.Context, q activity.Query, shown func(activity.Event) activity.Event) error {
	limit, err := pageLimit(c.QueryParams())
	if err != nil {
		return err
	}
	before, err := cursorID(c.QueryParam("cursor"))
	if err != nil {
		return err
	}
	events, next, err := s.Activity.List(ctx, q, before, limit)
	if err != nil {
		return err
	}
	page := EventPage{Results: make([]Event, len(events)), Next: nextID(next)}
	for i, e := range events {
		page.Results[i] = eventOf(shown(e))
	}
	return c.JSON(http.StatusOK, page)
}

// cursorID reads the cursor of a listing whose cursors are ids; none is the zero id.
func cursorID(cursor string) (uuid.UUID, error) {
	if cursor == "" {
		return uuid.UUID{}, nil
	}
	id, err := uidOf(cursor)
	if err != nil {
		return uuid.UUID{}, errCursor
	}
	return id, nil
}

var errCursor = invalid("", "The query parameter cursor is not one that a page before returned.")

func nextID(id uuid.UUID) *string {
	if id == (uuid.UUID{}) {
		return nil
	}
	text := id.String()
	return &text
}

// activityQuery reads the filters; each may be left out.
func (s *server) activityQuery(ctx context.Context, query url.Values) (q activity.Query, err error) {
	if q.Outcome = activity.Outcome(query.Get("outcome")); query.Has("outcome") && q.Outcome != activity.Success && q.Outcome != activity.Failure {
		return q, invalid("", "The query parameter outcome must be success or failure.")
	}
	q.Reason = query.Get("reason")
	if q.Network, err = networkParam(query, "network"); err != nil {
		return q, err
	}
	if q.Since, err = timeParam(query, "since"); err != nil {
		return q, err
	}
	if q.Until, err = timeParam(query, "until"); err != nil {
		return q, err
	}
	if query.Get("user") == "" && query.Has("user") {
		return q, invalid("", "The query parameter user must be the id or the name of a user.")
	}
	if query.Has("user") {
		id, err := s.userParam(ctx, query.Get("user"))
		if err != nil {
			return q, err
		}
		q.User = &id
	}
	return q, nil
}

// userParam returns the id that a query parameter means: an id itself, also of a user who is gone, or any
// spelling of a name.
func (s *server) userParam(ctx context.Context, user string) (uuid.UUID, error) {
	if id, err := uidOf(user); err == nil {
		return id, nil
	}
	u, err := s.Login.Users.ByName(ctx, user)
	return u.ID, err
}

func timeParam(query url.Values, name string) (time.Time, error) {
	if !query.Has(name) {
		return time.Time{}, nil
	}
	at, err := time.Parse(time.RFC3339, query.Get(name))
	if err != nil {
		return time.Time{}, invalid("", "The query parameter "+name+" must be a time such as 2026-03-01T08:00:00Z.")
	}
	if at.IsZero() {
		at = time.Unix(0, 0) // the zero time stands for none, and nothing happened before either
	}
	return at, nil
}

// networkParam reads a network or an address. A mapped address of IPv4 is the one that it means.
func networkParam(query url.Values, name string) (netip.Prefix, error) {
	if !query.Has(name) {
		return netip.Prefix{}, nil
	}
	text := query.Get(name)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, invalid("", "The query parameter "+name+" must be a network such as 203.0.113.0/24, or an address.")
	}
	if addr := network.Addr(); addr.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(addr.Unmap(), network.Bits()-96)
	}
	return network.Masked(), nil
}

func eventOf(e activity.Event) Event {
	return Event{
		Id: e.ID.String(), Time: e.Time.UTC(), Kind: EventKind(e.Kind), Outcome: EventOutcome(e.Outcome), Reason: e.Reason,
		NameTried: e.NameTried, UserId: idText(e.User), DeviceUid: idText(e.Device),
		Ip: addrText(e.IP), UserAgent: e.UserAgent, Country: e.Country, Region: e.Region, City: e.City,
		NewCountry: e.NewCountry, NewNetwork: e.NewNetwork, Actor: e.Actor,
	}
}

func idText(id uuid.UUID) string {
	if id == (uuid.UUID{}) {
		return ""
	}
	return id.String()
}

func addrText(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	return ip.String()
}
