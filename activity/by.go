package activity

import "net/netip"

// By is who did something, and from where: what every event of an act has in common.
type By struct {
	Actor     string // as in Event
	IP        netip.Addr
	UserAgent string
}

// Event returns an event of what was done.
func (b By) Event(kind Kind, reason string) Event {
	return Event{Kind: kind, Outcome: Success, Reason: reason, IP: b.IP, UserAgent: b.UserAgent, Actor: b.Actor}
}
