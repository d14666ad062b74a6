package login_test

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/login"
)

// phone is a device as its owner may rely on it.
type phone struct {
	device.Record                 // only uid, age, rights, name, times
	sessions      []login.Session // of every sign-in on it; the last counts
	tokens        []string        // refresh tokens since the last sign-in; the last is current
	older         []string        // those of sign-ins before
	cookie        string
	rotated       time.Time
	ended         bool
}

func (p *phone) last() login.Session { return p.sessions[len(p.sessions)-1] }

// worth says what a refresh token of the phone is worth.
func (p *phone) worth(token string, now time.Time) string {
	switch n := len(p.tokens); {
	case slices.Contains(p.older, token):
		return "of an earlier sign-in"
	case p.tokens[n-1] == token:
		return "current"
	case n > 1 && p.tokens[n-2] == token && now.Sub(p.rotated) <= grace:
		return "in grace"
	}
	return "old"
}

// person is one user as he may rely on it. All his acts come one after the other.
type person struct {
	*rand.Rand
	login.User
	password string
	limit    int
	devices  []*phone // in the order of their first sign-in
	reset    string   // outstanding reset token
	resetAt  time.Time
}

func (w *person) live(now time.Time) (live []*phone) {
	for _, p := range w.devices {
		if !p.ended && now.Before(p.ExpiresAt) {
			live = append(live, p)
		}
	}
	return live
}

func (w *person) lives(p *phone, now time.Time) bool { return slices.Contains(w.live(now), p) }

func (w *person) endAll() {
	for _, p := range w.devices {
		p.ended = true
	}
}

// surplus returns who of those must go so that room more fit.
func (w *person) surplus(live []*phone, room int, oldest bool) []*phone {
	over := len(live) + room - w.limit
	if over <= 0 {
		return nil
	}
	order := slices.Clone(live) // by age
	if !oldest {
		slices.SortStableFunc(order, func(a, b *phone) int { return a.LastSeen.Compare(b.LastSeen) })
	}
	return order[:over]
}

// any picks a device there ever was, more often one that lives; nil when there never was one.
func (w *person) any(now time.Time) *phone {
	from := w.live(now)
	if len(from) == 0 || w.IntN(4) == 0 {
		from = w.devices
	}
	if len(from) == 0 {
		return nil
	}
	return from[w.IntN(len(from))]
}

// token picks a refresh token of the phone.
func (w *person) token(p *phone) string {
	switch n := len(p.tokens); {
	case w.IntN(8) == 0 && len(p.older) > 0:
		return p.older[w.IntN(len(p.older))]
	case w.IntN(4) == 0 && n > 1:
		return p.tokens[n-2]
	case w.IntN(16) == 0:
		return p.tokens[w.IntN(n)]
	default:
		return p.tokens[n-1]
	}
}

// session picks a session of the phone: nearly always the last.
func (w *person) session(p *phone) login.Session {
	if w.IntN(8) == 0 {
		return p.sessions[w.IntN(len(p.sessions))]
	}
	return p.last()
}

func (w *person) byUID(uid uuid.UUID) *phone {
	for _, p := range w.devices {
		if p.UID == uid {
			return p
		}
	}
	return nil
}

// proves returns the device that a sign-in with these would prove.
func (w *person) proves(refresh, cookie string, now time.Time) *phone {
	live := w.live(now)
	for _, p := range slices.Backward(live) {
		worth := p.worth(refresh, now)
		if worth == "current" || worth == "in grace" || cookie != "" && p.cookie == cookie {
			return p
		}
	}
	return nil
}
