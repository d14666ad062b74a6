package device

import (
	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/reason"
)

// EndReason says why a device ended. The zero value is not a reason.
type EndReason uint8

// The ways a device ends. Their numbers are stored: only append.
const (
	_ EndReason = iota
	Logout
	RevokedByDevice
	RevokedByAdmin
	RevokeAll
	Replaced
	RefreshReuse
	PasswordChanged
	InactiveAccount
	Expired
	IPChanged
)

var endWords = [...]string{
	Logout: "logout", RevokedByDevice: "revoked_by_device", RevokedByAdmin: "revoked_by_admin", RevokeAll: "revoke_all",
	Replaced: "replaced", RefreshReuse: "refresh_reuse", PasswordChanged: "password_changed",
	InactiveAccount: "inactive_account", Expired: "expired", IPChanged: "ip_change",
}

// String returns the word that records and logs carry.
func (e EndReason) String() string {
	if int(e) < len(endWords) && endWords[e] != "" {
		return endWords[e]
	}
	return "unknown"
}

// Cause is why devices end, and by whom.
type Cause struct {
	Why EndReason
	By  activity.By
}

// Event returns the event of an end; the zero device stands for all of the user's at once.
func (c Cause) Event(user, device uuid.UUID) activity.Event {
	e := c.By.Event(activity.DeviceEnded, c.Why.String())
	e.User, e.Device = user, device
	return e
}

// ofService is the cause of what nobody asked for in person.
func ofService(why EndReason) Cause {
	return Cause{Why: why, By: activity.By{Actor: activity.ByService}}
}

// events returns one event for each device that ends.
func (c Cause) events(recs []Record) []activity.Event {
	events := make([]activity.Event, 0, len(recs))
	for _, rec := range recs {
		events = append(events, c.Event(rec.User, rec.UID))
	}
	return events
}

// Check returns what a check answers for a device that ended so. Anything that is not told apart on
// purpose is device_not_recognized.
func (e EndReason) Check() reason.Reason {
	switch e {
	case Replaced:
		return reason.DeviceReplaced
	case RefreshReuse, IPChanged:
		return reason.DeviceCompromised
	case InactiveAccount:
		return reason.InactiveAccount
	default:
		return reason.DeviceNotRecognized
	}
}
