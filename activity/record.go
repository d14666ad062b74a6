package activity

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/safetext"
)

const eventSchema = 1

// record is an event as it is stored.
type record struct {
	Schema     int        `json:"schema"`
	ID         uuid.UUID  `json:"id"`
	Time       time.Time  `json:"time"` // the id's, for human readers
	Kind       Kind       `json:"kind"`
	Outcome    Outcome    `json:"outcome,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	NameTried  string     `json:"name_tried,omitempty"`
	User       uuid.UUID  `json:"user_id,omitzero"`
	Device     uuid.UUID  `json:"device_uid,omitzero"`
	IP         netip.Addr `json:"ip,omitzero"`
	UserAgent  string     `json:"user_agent,omitempty"`
	Country    string     `json:"country,omitempty"`
	Region     string     `json:"region,omitempty"`
	City       string     `json:"city,omitempty"`
	NewCountry bool       `json:"new_country,omitempty"`
	NewNetwork bool       `json:"new_network,omitempty"`
	Actor      string     `json:"actor,omitempty"`
}

func (ev Event) encode() []byte {
	b, err := json.Marshal(record{
		Schema: eventSchema, ID: ev.ID, Time: ev.Time, Kind: ev.Kind, Outcome: ev.Outcome, Reason: ev.Reason,
		NameTried: ev.NameTried, User: ev.User, Device: ev.Device, IP: ev.IP, UserAgent: ev.UserAgent,
		Country: ev.Country, Region: ev.Region, City: ev.City,
		NewCountry: ev.NewCountry, NewNetwork: ev.NewNetwork, Actor: ev.Actor,
	})
	if err != nil {
		panic(fmt.Sprintf("an event of plain values cannot fail to encode: %v", err))
	}
	return b
}

// decodeEvent reads the event of user with id. One that stands under another's key is refused: what a user
// sees of his own must be his.
func decodeEvent(e db.Entry, user, id uuid.UUID) (Event, error) {
	var r record
	if err := json.Unmarshal(e.Value, &r); err != nil {
		return Event{}, fmt.Errorf("the record %q cannot be read: %w", e.Key, err)
	}
	if r.Schema != eventSchema {
		return Event{}, fmt.Errorf("the record %q has schema %d, this version knows %d: use the version that wrote it or a newer one", e.Key, r.Schema, eventSchema)
	}
	if r.ID != id || r.User != user {
		return Event{}, fmt.Errorf("the record %q is of another event", e.Key)
	}
	return Event{
		ID: id, Time: timeOf(id), Kind: r.Kind, Outcome: r.Outcome, Reason: r.Reason,
		NameTried: r.NameTried, User: user, Device: r.Device, IP: r.IP, UserAgent: r.UserAgent,
		Country: r.Country, Region: r.Region, City: r.City,
		NewCountry: r.NewCountry, NewNetwork: r.NewNetwork, Actor: r.Actor,
	}, nil
}

// bounded returns the event with every text that somebody else chose cut to its bound.
func (ev Event) bounded() Event {
	ev.NameTried = safetext.Bound(ev.NameTried, MaxName)
	ev.UserAgent = safetext.Bound(ev.UserAgent, MaxUserAgent)
	ev.Country = safetext.Bound(ev.Country, maxPlace)
	ev.Region = safetext.Bound(ev.Region, maxPlace)
	ev.City = safetext.Bound(ev.City, maxPlace)
	ev.Actor = safetext.Bound(ev.Actor, maxActor)
	// A zone is free text of any length, and an IPv4 address in IPv6 form is in no IPv4 network.
	ev.IP = ev.IP.Unmap().WithZone("")
	return ev
}
