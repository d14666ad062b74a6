package login

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"devicegate/activity"
	"devicegate/device"
	"devicegate/place"
)

// placeTimeout bounds what is written once a place is known.
const placeTimeout = 10 * time.Second

// Places says where addresses are.
type Places interface {
	// Find answers at once, or not at all.
	Find(netip.Addr) (place.Place, bool)
	// Ask may answer later, from another goroutine, and only where something was found.
	Ask(ip netip.Addr, then func(place.Place))
}

// askPlace finds out where a sign-in came from after it was answered. Only successful sign-ins ask: nobody
// but users may make this service ask somebody else.
func (s *Service) askPlace(e activity.Event, rec device.Record) {
	if e.Country != "" {
		return
	}
	s.places.Ask(e.IP, func(p place.Place) {
		ctx, cancel := context.WithTimeout(context.Background(), placeTimeout)
		defer cancel()
		if err := s.learnPlace(ctx, e, rec, p); err != nil {
			s.lost("where a sign-in came from could not be written", err)
		}
	})
}

// learnPlace writes a place to the device, as long as nobody has signed in on it since, to what is known of
// the user, and to the event.
func (s *Service) learnPlace(ctx context.Context, e activity.Event, rec device.Record, p place.Place) error {
	isNew, err := s.Users.noteCountry(ctx, e.User, p.Country)
	if err != nil {
		return err
	}
	err = s.Devices.SetPlace(ctx, rec, p.Country, p.Region, p.City)
	if err != nil && !errors.Is(err, device.ErrNotFound) {
		return err
	}
	return s.activity.Amend(ctx, e.User, e.ID, func(e *activity.Event) {
		e.Country, e.Region, e.City, e.NewCountry = p.Country, p.Region, p.City, isNew
	})
}
