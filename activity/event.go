package activity

import (
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Kind is what an event tells of.
type Kind string

// The kinds of events.
const (
	SignIn          Kind = "sign_in"
	DeviceEnded     Kind = "device_ended"
	PasswordChanged Kind = "password_changed"
	Admin           Kind = "admin"
)

// Outcome says whether what was tried was done.
type Outcome string

// The outcomes of events.
const (
	Success Outcome = "success"
	Failure Outcome = "failure"
)

// Event is one thing that happened. Log.Commit gives it its id, unless it has one of Log.NewID, and its time,
// and bounds its texts; everything else is the caller's.
type Event struct {
	ID   uuid.UUID // a UUIDv7; the order of ids is the order of events of one process
	Time time.Time // UTC, to the millisecond

	Kind    Kind
	Outcome Outcome
	Reason  string // one word

	// NameTried is the name as it was sent; of an account's administration the account's name. At most
	// MaxName bytes.
	NameTried string
	User      uuid.UUID // zero where no user is known by the name
	Device    uuid.UUID // zero: none, or, of an end, all devices of the user at once

	IP        netip.Addr // invalid where unknown
	UserAgent string     // at most MaxUserAgent bytes

	Country    string // ISO 3166-1 alpha-2; empty where unknown, like Region and City
	Region     string
	City       string
	NewCountry bool // the user never signed in from there before, as far as is remembered
	NewNetwork bool

	// Actor is who did it, where that is not the one who signs in: "device:<uid>", "admin:<name>",
	// "socket" (whoever may open the admin socket), "file" (the command line on the closed file),
	// "reset_token", or "service" (limits, expiry, reuse).
	Actor string
}

// Bounds of texts, in bytes. Longer ones are cut.
const (
	MaxName      = 600
	MaxUserAgent = 512
	maxPlace     = 100
	maxActor     = 640
)

// Who acts, besides devices and admins.
const (
	BySocket     = "socket"
	ByFile       = "file"
	ByResetToken = "reset_token"
	ByService    = "service"
)

// ByAnAdmin is what users are told of an admin: that it was one.
const ByAnAdmin = "admin"

// ByDevice returns the actor of what a device does to others of its user, or to itself.
func ByDevice(device uuid.UUID) string { return "device:" + device.String() }

// ByAdmin returns the actor of what an admin does with his token.
func ByAdmin(name string) string { return "admin:" + name }
