package authztest

import (
	"time"

	"devicegate/reason"
)

// policies are the rows about what a policy demands, and what it lets pass without a token.
func (w *World) policies() []Case {
	const home, away = "203.0.113.9", "198.51.100.9"
	by := func(policy, token string, from ...string) Question {
		q := Question{Policy: policy, ForwardedFor: from}
		if token != "" {
			q.Authorization = []string{"Bearer " + token}
		}
		return q
	}
	anna, bob := w.Anna.Token, w.Bob.Token
	later := Setup{Later: 10 * time.Minute}
	row := func(name string, s Setup, q Question, want reason.Reason, who *Person) Case {
		return Case{Name: "policy: " + name, Setup: s, Ask: q, Want: want, Who: who}
	}
	cases := []Case{
		row("each of the roles", Setup{}, by("both-roles", anna), reason.OK, &w.Anna),
		row("one of all roles is missing", Setup{}, by("all-roles", anna), reason.RoleMissing, nil),
		row("no role of all", Setup{}, by("all-roles", bob), reason.RoleMissing, nil),

		row("a device that is too new", Setup{}, by("settled", anna), reason.DeviceTooNew, nil),
		row("a device that has settled", later, by("settled", anna), reason.OK, &w.Anna),
		row("a device that is fresh", Setup{}, by("fresh", anna), reason.OK, &w.Anna),
		row("a device that is too old", later, by("fresh", anna), reason.DeviceTooOld, nil),

		row("a network that may", Setup{}, by("inside", anna, home), reason.OK, &w.Anna),
		row("a network that may not", Setup{}, by("inside", anna, away), reason.NetworkNotAllowed, nil),
		row("a network that the client claims", Setup{}, by("inside", anna, home+", "+away), reason.NetworkNotAllowed, nil),
		row("no address", Setup{}, by("inside", anna, "<junk>"), reason.NetworkNotAllowed, nil),

		row("a country that may", Setup{}, by("at-home", anna, home), reason.OK, &w.Anna),
		row("a country that is not among them", Setup{}, by("at-home", anna, away), reason.CountryNotAllowed, nil),
		row("a place that is not known, where one is demanded", Setup{}, by("at-home", anna), reason.CountryNotAllowed, nil),
		row("a country that may not", Setup{}, by("not-there", anna, away), reason.CountryNotAllowed, nil),
		row("a country beside it", Setup{}, by("not-there", anna, home), reason.OK, &w.Anna),
		row("a place that is not known, where one is denied", Setup{}, by("not-there", anna), reason.OK, &w.Anna),

		row("nobody, where that is enough", Setup{}, by("public", ""), reason.Anonymous, nil),
		row("nobody, from where nobody may", Setup{}, by("public", "", away), reason.CountryNotAllowed, nil),
		row("somebody, where nobody is enough", Setup{}, by("public", anna), reason.OK, &w.Anna),
		row("a bad token, where none is enough", Setup{}, by("public", w.Tokens.Expired), reason.TokenExpired, nil),
		row("an ended device, where nobody is enough", Setup{}, by("public", w.Ended.Token), reason.DeviceNotRecognized, nil),
		row("another scheme, where nobody is enough", Setup{}, Question{Policy: "public", Authorization: []string{"Basic dXNlcjpwYXNz"}}, reason.Anonymous, nil),
		row("two Authorization headers, where nobody is enough", Setup{}, Question{Policy: "public", Authorization: []string{"", "Basic x"}}, reason.BadAuthorization, nil),
		row("nobody while the gate starts", Setup{Forced: reason.Starting, HasForced: true}, by("public", ""), reason.Starting, nil),
		row("no policy lets nobody pass by itself", Setup{}, Question{}, reason.NoToken, nil),
	}
	return append(append(cases, w.preflights(home, away)...), w.reports()...)
}

// preflights: only what is one passes, and only where the policy says so.
func (w *World) preflights(home, away string) []Case {
	const origin = "https://app.example"
	ask := func(policy, method string, origins, preflight []string, from string) Question {
		return Question{Policy: policy, Method: method, Origin: origins, Preflight: preflight, ForwardedFor: []string{from}}
	}
	one, put := []string{origin}, []string{"PUT"}
	withToken := ask("preflight", "OPTIONS", one, put, home)
	withToken.Authorization = []string{"Bearer " + w.Tokens.Expired}
	known := withToken
	known.Authorization = []string{"Bearer " + w.Anna.Token}
	return []Case{
		{Name: "preflight", Ask: ask("preflight", "OPTIONS", one, put, home), Want: reason.CORSPreflight},
		{Name: "preflight where none may", Ask: ask("default", "OPTIONS", one, put, home), Want: reason.NoToken},
		{Name: "preflight from where nobody may", Ask: ask("preflight", "OPTIONS", one, put, away), Want: reason.NetworkNotAllowed},
		{Name: "preflight with a bad token", Ask: withToken, Want: reason.TokenExpired},
		{Name: "preflight with a good token", Ask: known, Want: reason.OK, Who: &w.Anna},
		{Name: "preflight by another method", Ask: ask("preflight", "GET", one, put, home), Want: reason.NoToken},
		{Name: "preflight in small letters", Ask: ask("preflight", "options", one, put, home), Want: reason.NoToken},
		{Name: "preflight without Origin", Ask: ask("preflight", "OPTIONS", nil, put, home), Want: reason.NoToken},
		{Name: "preflight with an empty Origin", Ask: ask("preflight", "OPTIONS", []string{""}, put, home), Want: reason.NoToken},
		{Name: "preflight without a method", Ask: ask("preflight", "OPTIONS", one, nil, home), Want: reason.NoToken},
		{Name: "preflight without both", Ask: ask("preflight", "OPTIONS", nil, nil, home), Want: reason.NoToken},
	}
}

// reports: what a policy only reports passes as nobody, with what it would have come to; what no policy has been
// found for is refused all the same.
func (w *World) reports() []Case {
	by := func(token string) Question {
		q := bearer(token)
		q.Policy = "trial"
		return q
	}
	incomplete := by(w.Anna.Token)
	incomplete.Incomplete = true
	stripped := by(w.Anna.Token)
	stripped.Policy = "stripped"
	return []Case{
		{Name: "stripped: the token does not reach the backend", Ask: stripped, Want: reason.OK, Who: &w.Anna, Stripped: true},
		{Name: "stripped: nor does another scheme", Ask: Question{Policy: "stripped", Authorization: []string{"Basic dXNlcjpwYXNz"}}, Want: reason.Anonymous, Stripped: true},
		{Name: "report: what would pass", Ask: by(w.Anna.Token), Want: reason.Report, Would: reason.OK},
		{Name: "report: a role is missing", Ask: by(w.Bob.Token), Want: reason.Report, Would: reason.RoleMissing},
		{Name: "report: no token", Ask: Question{Policy: "trial"}, Want: reason.Report, Would: reason.NoToken},
		{Name: "report: a bad token", Ask: by(w.Tokens.Signature), Want: reason.Report, Would: reason.TokenUnverified},
		{Name: "report: the gate starts", Setup: Setup{Forced: reason.Starting, HasForced: true}, Ask: by(w.Anna.Token), Want: reason.Report, Would: reason.Starting},
		{Name: "report: a peer that may not ask", Setup: Setup{Peers: Elsewhere}, Ask: by(w.Anna.Token), Want: reason.PeerNotAllowed},
		{Name: "report: incomplete", Ask: incomplete, Want: reason.RequestIncomplete},
	}
}
