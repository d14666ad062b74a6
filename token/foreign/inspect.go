package foreign

import (
	"strings"

	"devicegate/token"
	"devicegate/token/keysource"
)

// Inspect implements token.Others.
func (s *Issuers) Inspect(raw string) (token.Inspection, bool) {
	j, theirs := s.verify(raw, access, s.now().Unix(), func(*keysource.Source) {})
	if !theirs {
		return token.Inspection{}, false
	}
	head, claims := token.Parts(raw)
	facts := []token.Fact{
		{Name: "issuer", Found: s.judges(raw, j)},
		{Name: "alg", Found: token.Shown(head["alg"])},
		{Name: "kid", Found: token.Shown(head["kid"])},
		{Name: "typ", Found: token.Shown(head["typ"])},
		{Name: "iss", Found: token.Shown(claims["iss"]), Claim: true},
	}
	if j.by == nil {
		facts = append(facts, token.Times(claims, 0)[:3]...)
	} else {
		facts[1].Wanted = strings.Join(j.by.Keys.Set().Algorithms(), " or ")
		facts[4].Wanted = j.by.Issuer
		facts = append(facts, j.by.inspect(claims)...)
	}
	return token.Inspection{Verified: j.verified, Finding: j.Finding, Facts: facts}, true
}

// judges names who judged a token: who signed it, or all who may have.
func (s *Issuers) judges(raw string, j judgement) string {
	if j.by != nil {
		return j.by.Name
	}
	t, _ := scan(raw)
	candidates, _ := s.candidates(&t)
	var names []string
	for _, i := range candidates {
		names = append(names, i.Name)
	}
	return "one of " + strings.Join(names, ", ")
}

// inspect reads what claims say beside what the issuer's have to say. It judges nothing.
func (i *issuer) inspect(c claims) []token.Fact {
	facts := append([]token.Fact{{Name: "aud", Found: token.Shown(c["aud"]), Wanted: i.Audience, Claim: true}}, token.Times(c, i.MaxLifetime)...)
	for _, name := range []string{"token_type", i.Claims.UserID, i.Claims.Username, i.Claims.Roles, i.Claims.DeviceUID} {
		if name != "" {
			facts = append(facts, token.Fact{Name: name, Found: token.Shown(c.at(name)), Claim: true})
		}
	}
	if i.oneKey() {
		for n := range facts {
			if facts[n].Name == "token_type" {
				facts[n].Wanted = string(access)
			}
		}
	}
	if err := i.Keys.Trouble(); err != nil {
		facts = append(facts, token.Fact{Name: "keys", Found: err.Error()})
	}
	return facts
}
