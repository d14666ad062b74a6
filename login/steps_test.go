package login_test

import (
	"context"
	"fmt"
	"time"

	"devicegate/device"
	"devicegate/login"
)

// The steps of a history. Each acts, says what it expected, and writes into the model what is so from now
// on.

// proof picks what a sign-in shows to prove its device: nothing, something good, or something of no worth.
func (w *world) proof(who *person) (refresh, cookie string) {
	mine := who.any(w.clock.Now())
	if who.IntN(6) == 0 {
		return "dgr_nonsense", "nonsense"
	}
	if mine == nil || who.IntN(2) == 0 {
		return "", ""
	}
	if who.IntN(2) == 0 {
		return who.token(mine), ""
	}
	return "", mine.cookie
}

func (w *world) signsIn(who *person) error {
	now := w.clock.Now()
	in := login.SignIn{Name: who.Name, Password: who.password, Client: client, Secure: who.IntN(2) == 0}
	in.Refresh, in.Cookie = w.proof(who)
	if who.IntN(3) == 0 {
		in.DeviceName = name(who.Rand)
	}
	wrong := who.IntN(8) == 0
	if wrong {
		in.Password += "?"
	}
	s, err := w.SignIn(context.Background(), in)
	if wrong || who.Disabled {
		return expect(err, login.ErrNoActiveAccount.Error())
	}
	known := who.proves(in.Refresh, in.Cookie, now)
	var others []*phone
	for _, p := range who.live(now) {
		if p != known {
			others = append(others, p)
		}
	}
	out := who.surplus(others, 1, w.config.Limits.On == device.EvictOldest)
	if len(out) > 0 && w.config.Limits.On == device.Refuse {
		return expect(err, device.ErrMaxDevices.Error())
	}
	if err != nil {
		return err
	}
	for _, p := range out {
		p.ended = true
	}
	if known != nil && s.Device != known.UID || known == nil && who.byUID(s.Device) != nil {
		return fmt.Errorf("it is device %v, of a known one: %v", s.Device, known != nil)
	}
	w.signedIn(who, known, in, s)
	return nil
}

func (w *world) signedIn(who *person, p *phone, in login.SignIn, s login.Session) {
	now := w.clock.Now()
	if p == nil {
		p = &phone{Record: device.Record{
			UID: s.Device, Ordinal: uint64(len(who.devices) + 1), CreatedAt: now,
			Name: device.GuessName(client.UserAgent), CanUpdateOthers: true, CanDeleteOthers: true,
		}}
		who.devices = append(who.devices, p)
	}
	if in.DeviceName != "" {
		p.Name = in.DeviceName
	}
	if in.Secure {
		p.cookie = s.Cookie
	}
	p.older, p.tokens = append(p.older, p.tokens...), []string{s.Refresh}
	p.sessions = append(p.sessions, s)
	p.LastSeen, p.ExpiresAt = now, now.Add(time.Hour)
}

func (w *world) refreshes(who *person) error {
	now := w.clock.Now()
	p := who.any(now)
	if p == nil {
		return nil
	}
	token := who.token(p)
	s, err := w.Refresh(context.Background(), token, client)
	worth := p.worth(token, now)
	if !who.lives(p, now) || worth == "of an earlier sign-in" {
		return expect(err, "gone")
	}
	p.LastSeen = now
	if worth == "old" {
		p.ended = true
		return expect(err, "gone")
	}
	if err != nil {
		return err
	}
	if worth == "current" {
		p.tokens, p.rotated, p.ExpiresAt = append(p.tokens, s.Refresh), now, now.Add(time.Hour)
	} else if s.Refresh != p.tokens[len(p.tokens)-1] {
		return fmt.Errorf("a retry made another successor")
	}
	return nil
}

func (w *world) checks(who *person) error {
	if p := who.any(w.clock.Now()); p != nil {
		if s := who.session(p); who.lives(p, w.clock.Now()) && s == p.last() {
			p.LastSeen = w.clock.Now()
			w.index.Check(w.use(who.User, s))
		} else {
			w.index.Check(w.use(who.User, s))
		}
	}
	return nil
}

func (w *world) logsOut(who *person) error {
	p := who.any(w.clock.Now())
	if p == nil {
		return nil
	}
	s := who.session(p)
	p.ended = p.ended || s == p.last()
	return expect(w.Logout(context.Background(), caller(who.User, s)), "")
}

func (w *world) revokes(who *person) error {
	p := who.any(w.clock.Now())
	if p == nil {
		return nil
	}
	token := who.token(p)
	p.ended = p.ended || p.worth(token, w.clock.Now()) != "of an earlier sign-in"
	return expect(w.Revoke(context.Background(), token), "")
}

// acting returns a device and who it acts for; gone says that its token is not worth anything.
func (w *world) acting(who *person) (actor *phone, as device.Subject, gone bool) {
	if actor = who.any(w.clock.Now()); actor == nil {
		return nil, as, true
	}
	s := who.session(actor)
	return actor, caller(who.User, s), !who.lives(actor, w.clock.Now()) || s != actor.last()
}

func (w *world) may(act device.Act, actor, target *phone, change device.Change) string {
	var rec *device.Record
	if target != nil {
		rec = &target.Record
	}
	if err := w.rules.May(act, actor.Record, rec, change, w.clock.Now()); err != nil {
		return err.Code
	}
	return ""
}

func (w *world) deletes(who *person) error {
	actor, as, gone := w.acting(who)
	if actor == nil {
		return nil
	}
	target := who.any(w.clock.Now())
	err := w.EndOther(context.Background(), as, target.UID)
	switch {
	case gone:
		return expect(err, "gone")
	case !who.lives(target, w.clock.Now()):
		return expect(err, device.ErrNotFound.Error())
	}
	target.ended = err == nil
	return expect(err, w.may(device.Delete, actor, target, device.Change{}))
}

func (w *world) revokesAll(who *person) error {
	actor, as, gone := w.acting(who)
	if actor == nil {
		return nil
	}
	ended, kept, err := w.EndOthers(context.Background(), as)
	if gone {
		return expect(err, "gone")
	}
	if want := w.may(device.EndAll, actor, nil, device.Change{}); want != "" {
		return expect(err, want)
	}
	for _, p := range who.live(w.clock.Now()) {
		switch {
		case p == actor:
		case w.may(device.EndAll, actor, p, device.Change{}) == "":
			p.ended = true
			ended--
		default:
			kept--
		}
	}
	if ended != 0 || kept != 0 {
		return fmt.Errorf("%d too many ended, %d too many kept", ended, kept)
	}
	return expect(err, "")
}

func (w *world) changes(who *person) error {
	actor, as, gone := w.acting(who)
	if actor == nil {
		return nil
	}
	target, change := who.any(w.clock.Now()), device.Change{}
	fresh, right := name(who.Rand), who.IntN(3) > 0
	switch who.IntN(3) {
	case 0:
		change.Name = &fresh
	case 1:
		change.CanDeleteOthers = &right
	default:
		change.Name, change.CanUpdateOthers = &fresh, &right
	}
	_, err := w.Change(context.Background(), as, target.UID, change)
	switch {
	case gone:
		return expect(err, "gone")
	case !who.lives(target, w.clock.Now()):
		return expect(err, device.ErrNotFound.Error())
	}
	want := w.may(device.Update, actor, target, change)
	if want != "" {
		return expect(err, want)
	}
	if change.Name != nil {
		target.Name = fresh
	}
	if change.CanDeleteOthers != nil {
		target.CanDeleteOthers = right
	}
	if change.CanUpdateOthers != nil {
		target.CanUpdateOthers = right
	}
	return expect(err, "")
}
