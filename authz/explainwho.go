package authz

import (
	"strconv"
	"time"

	"devicegate/reason"
	"devicegate/token"
)

func (w *witness) tellToken(s *Step) {
	if w.skip(s) {
		return
	}
	i := w.inspected
	facts := map[string]token.Fact{}
	for _, f := range i.Facts {
		facts[f.Name] = f
		told := Fact{Name: shown(f.Name), Found: shown(f.Found), Wanted: shown(f.Wanted), Unproved: f.Claim && !i.Signed}
		if !f.At.IsZero() {
			told.Found = w.when(f.At)
		}
		s.Facts = append(s.Facts, told)
	}
	if s.Result == Passed {
		s.Detail = "signed by " + shown(facts["issuer"].Found) + " (" + shown(facts["alg"].Found) + "), expires in " + span(time.Unix(i.Verified.Expires, 0).Sub(w.at))
		return
	}
	s.Detail = w.ofToken(facts)
}

// ofToken says why a token is refused.
func (w *witness) ofToken(facts map[string]token.Fact) string {
	switch i := w.inspected; {
	case i.Cause != "":
		return i.Cause
	case i.Reason == reason.TokenExpired:
		return "it expired " + span(w.at.Sub(facts["exp"].At)) + " ago"
	case i.Reason == reason.TokenNotYetValid:
		begins := facts["nbf"].At
		if facts["iat"].At.After(begins) {
			begins = facts["iat"].At
		}
		return "it begins in " + span(begins.Sub(w.at)) + ": compare the clocks"
	case i.Reason == reason.TokenWrongAudience:
		return "it is meant for " + orNone(facts["aud"].Found) + ", and wanted is " + shown(facts["aud"].Wanted)
	case i.Reason == reason.TokenLivesTooLong:
		return "it lives " + orNone(facts["life"].Found) + ", and wanted is " + facts["life"].Wanted
	case i.Reason == reason.DeviceUIDMissing:
		return "the claim that names the device is missing or empty"
	default:
		return i.Reason.String()
	}
}

func orNone(text string) string {
	if text == "" {
		return "nothing that can be read"
	}
	return shown(text)
}

func (w *witness) tellDevice(s *Step) {
	if w.skip(s) {
		return
	}
	f := w.foreseen
	d := f.Device
	s.Facts = []Fact{{Name: "device_uid", Found: w.use.Device.String()}}
	if d.Known && d.Owner == w.use.User {
		s.Facts = append(s.Facts, w.life()...)
	}
	switch {
	case s.Result == Passed && f.Registers:
		s.Detail = "never seen before: a check would register it"
	case s.Result == Passed:
		s.Detail = "made " + span(w.at.Sub(d.Created)) + " ago"
	default:
		s.Detail = w.ofDevice()
	}
}

// life returns what is known of the device's life.
func (w *witness) life() []Fact {
	d := w.foreseen.Device
	facts := []Fact{{Name: "made", Found: w.when(d.Created)}}
	add := func(name string, at time.Time) {
		if !at.IsZero() {
			facts = append(facts, Fact{Name: name, Found: w.when(at)})
		}
	}
	add("last seen", d.LastSeen)
	if d.LastFrom.IsValid() {
		facts = append(facts, Fact{Name: "last from", Found: d.LastFrom.String()})
	}
	if d.Ended != 0 {
		facts = append(facts, Fact{Name: "ended for", Found: d.Ended.String()})
	}
	add("ended", d.EndedAt)
	add("expires", d.Expires)
	if d.Waits {
		facts = append(facts, Fact{Name: "stored", Found: "not yet"})
	}
	return append(facts, Fact{
		Name: "token generation", Found: strconv.FormatUint(uint64(w.use.Generation), 10), Wanted: strconv.FormatUint(uint64(d.Generation), 10),
	})
}

// ofDevice says why a device is refused.
func (w *witness) ofDevice() string {
	f, d := w.foreseen, w.foreseen.Device
	switch {
	case f.Reason == reason.Starting || f.Reason == reason.StoreUnavailable:
		return "new devices cannot be registered now, or what is known can no longer be trusted: the store takes nothing"
	case f.Ends:
		return "its address changes, for which a check would end it (devices.ip_change: revoke)"
	case !d.Known && w.use.Foreign != nil && w.use.Foreign.Register == 0:
		return "never seen here, and the issuer has unknown_device: refuse; devicegate device register lets it in"
	case !d.Known && w.use.Foreign != nil:
		return "never seen here, and it cannot be registered: the user has his max_devices in use, is disabled or was removed"
	case !d.Known:
		return "unknown: it ended long ago, or this is not the gate that it signed in at; devicegate activity may know"
	case d.Owner != w.use.User:
		return "it belongs to another user"
	case d.Ended != 0:
		return "it ended: " + d.Ended.String()
	case !f.User.Known:
		return "its user was removed"
	case !d.Expires.After(w.at):
		return "it expired " + span(w.at.Sub(d.Expires)) + " ago, without a refresh"
	case w.use.Generation != d.Generation:
		return "the token is of an earlier sign-in on the device"
	default:
		return f.Reason.String()
	}
}

// when writes a moment, and how far it is.
func (w *witness) when(at time.Time) string {
	text := at.UTC().Format(time.RFC3339)
	if at.After(w.at) {
		return text + ", in " + span(at.Sub(w.at))
	}
	return text + ", " + span(w.at.Sub(at)) + " ago"
}

// span writes a duration in its largest unit of which there are two: a person needs no more of it.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	unit, letter := time.Second, "s"
	switch {
	case d >= 2*day:
		unit, letter = day, "d"
	case d >= 2*time.Hour:
		unit, letter = time.Hour, "h"
	case d >= 2*time.Minute:
		unit, letter = time.Minute, "m"
	}
	return strconv.FormatInt(int64(max(d, 0)/unit), 10) + letter
}
