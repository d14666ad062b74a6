package login_test

import (
	"context"
	"fmt"

	"devicegate/device"
	"devicegate/login"
)

// The steps of a history that are about the account.

func (w *world) changesPassword(who *person) error {
	actor, as, gone := w.acting(who)
	if actor == nil {
		return nil
	}
	current, fresh := who.password, fmt.Sprint(secret, who.IntN(100))
	wrong := who.IntN(4) == 0
	if wrong {
		current += "?"
	}
	err := w.ChangePassword(context.Background(), as, current, fresh, client)
	if gone {
		return expect(err, "gone")
	}
	var oldest *phone
	for _, p := range who.live(w.clock.Now()) {
		if p != actor && oldest == nil {
			oldest = p
		}
	}
	if want := w.may(device.ChangePassword, actor, oldest, device.Change{}); want != "" {
		return expect(err, want)
	}
	if wrong {
		return expect(err, login.ErrWrongPassword.Error())
	}
	for _, p := range who.devices {
		p.ended = p.ended || p != actor
	}
	who.password, who.reset = fresh, ""
	return expect(err, "")
}

func (w *world) startsReset(who *person) error {
	token, until, err := w.StartReset(context.Background(), who.ID)
	who.reset, who.resetAt = token, until
	return expect(err, "")
}

func (w *world) resets(who *person) error {
	fresh := fmt.Sprint(secret, who.IntN(100))
	err := w.Reset(context.Background(), who.reset, fresh, func(string) error { return nil })
	if who.reset == "" || !w.clock.Now().Before(who.resetAt) {
		return expect(err, login.ErrTokenNotValid.Error())
	}
	who.endAll()
	who.password, who.reset = fresh, ""
	return expect(err, "")
}

func (w *world) setsPassword(who *person) error {
	who.password = fmt.Sprint(secret, who.IntN(100))
	who.endAll()
	who.reset = ""
	_, err := w.SetPassword(context.Background(), who.ID, who.password)
	return expect(err, "")
}

func (w *world) setsRoles(who *person) error {
	roles := [][]string{nil, {"staff"}, {"field"}, {"lab"}, {"lab"}, {"lab"}, {"lab", "field"}, {"guest"}}[who.IntN(8)]
	who.limit = w.config.Limits.For(roles).Count
	for _, p := range who.surplus(who.live(w.clock.Now()), 0, false) {
		p.ended = true
	}
	_, err := w.SetRoles(context.Background(), who.ID, roles)
	return expect(err, "")
}

func (w *world) setsDisabled(who *person) error {
	disabled := who.IntN(3) == 0
	if disabled {
		who.endAll()
	}
	who.Disabled = disabled
	_, err := w.SetDisabled(context.Background(), who.ID, disabled)
	return expect(err, "")
}
