package token

import (
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"devicegate/reason"
	"devicegate/safetext"
	"devicegate/token/compact"
)

// Inspection is the verdict on a token with what it was come to by, for whoever runs the gate. It holds no signature
// and no other text of the token than that of members which say what kind of token it is and whose.
type Inspection struct {
	Verified Verified
	Finding
	Facts []Fact
}

// Fact is one thing that a token says, or that is known about it.
type Fact struct {
	Name   string
	Found  string    // bounded and fit for a terminal; empty: it is not there
	Wanted string    // what must be found; empty where anything will do
	At     time.Time // the moment that was found, where it is one, instead of Found
	Claim  bool      // the token says so: nothing but a claim unless its signature is good
}

// maxShown bounds, in bytes, what is shown of one member of a token, and shownNesting is how deep the objects are that
// are read for it: as deep as tokens of any issuer.
const (
	maxShown     = 120
	shownNesting = 8
)

// Inspect is Verify with what the verdict was come to by. It comes to the verdict anew, as a check would that the
// cache knows nothing for, and leaves no trace.
func (v *Verifier) Inspect(raw string) Inspection {
	if len(raw) > MaxSize {
		return Inspection{Finding: refuse(reason.TokenMalformed, "it is over "+strconv.Itoa(MaxSize)+" bytes long")}
	}
	if v.others != nil {
		if inspection, theirs := v.others.Inspect(raw); theirs {
			return inspection
		}
	}
	keys, now := v.keys.current(), v.now()
	verified, f := v.read(raw, keys, now.Unix())
	return Inspection{Verified: verified, Finding: f, Facts: v.facts(raw, keys)}
}

// facts reads what a token says beside what a token of ours has to say. It judges nothing.
func (v *Verifier) facts(raw string, keys *keySet) []Fact {
	head, claims := Parts(raw)
	facts := []Fact{{Name: "issuer", Found: "this gate"}}
	if head != nil {
		facts = append(facts,
			Fact{Name: "alg", Found: Shown(head["alg"]), Wanted: keys.algorithmOf(head["kid"])},
			Fact{Name: "typ", Found: Shown(head["typ"]), Wanted: headerType},
			keys.factOf(head["kid"]),
		)
	}
	if claims != nil {
		facts = append(facts,
			Fact{Name: "iss", Found: Shown(claims["iss"]), Wanted: v.issuer, Claim: true},
			Fact{Name: "token_type", Found: Shown(claims["token_type"]), Wanted: claimTokenType, Claim: true},
			Fact{Name: "aud", Found: Shown(claims["aud"]), Wanted: v.audience, Claim: true},
		)
		facts = append(facts, Times(claims, time.Duration(v.lifetime)*time.Second)...)
		for _, name := range []string{"sub", "username", "device_uid"} {
			facts = append(facts, Fact{Name: name, Found: Shown(claims[name]), Claim: true})
		}
	}
	return facts
}

// algorithmOf returns what a key is for, or what any of ours is.
func (s *keySet) algorithmOf(kid jsontext.Value) string {
	if key := s.keys[textOf(kid)]; key != nil {
		return string(key.alg)
	}
	return strings.Join([]string{string(EdDSA), string(ES256), string(RS256)}, " or ")
}

// factOf says what is known of the key that a token names.
func (s *keySet) factOf(kid jsontext.Value) Fact {
	fact := Fact{Name: "kid", Found: Shown(kid)}
	if fact.Found == "" {
		fact.Wanted = "one of this gate"
		return fact
	}
	for _, k := range s.list {
		if k.ID != textOf(kid) {
			continue
		}
		fact.Found += ", " + string(k.State) + ", of the " + string(k.Source)
		if k.State == Retired {
			fact.Wanted = "one that is not retired"
		}
		return fact
	}
	fact.Found += ", which is unknown"
	fact.Wanted = "one of this gate"
	return fact
}

// Parts returns the members of a token's header and claims; nil for a part that is no object.
func Parts(raw string) (head, claims map[string]jsontext.Value) {
	rawHeader, rawClaims, _, _ := compact.Split(raw)
	head, _ = compact.Members(rawHeader, shownNesting)
	claims, _ = compact.Members(rawClaims, shownNesting)
	return head, claims
}

// Times returns the facts of the times that claims say, and of the life that they make.
func Times(claims map[string]jsontext.Value, longest time.Duration) []Fact {
	var facts []Fact
	moments := map[string]time.Time{}
	for _, name := range []string{"iat", "nbf", "exp"} {
		fact := Fact{Name: name, Found: Shown(claims[name]), Claim: true}
		whole, _, _ := strings.Cut(string(claims[name]), ".")
		if seconds, err := strconv.ParseInt(whole, 10, 64); err == nil && seconds > 0 && seconds < maxMoment {
			fact.Found, fact.At = "", time.Unix(seconds, 0).UTC()
			moments[name] = fact.At
		}
		facts = append(facts, fact)
	}
	if begins, ends := moments["iat"], moments["exp"]; !begins.IsZero() && !ends.IsZero() {
		facts = append(facts, Fact{Name: "life", Found: inShort(ends.Sub(begins)), Wanted: "at most " + inShort(longest), Claim: true})
	}
	return facts
}

// inShort writes a duration as the configuration does: 15m, not 15m0s.
func inShort(d time.Duration) string {
	text := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// maxMoment is the year 10000, from which on no time can be written any more.
const maxMoment = 253402300800

// Shown makes what a member says fit to be seen: text as it is, everything else as JSON.
func Shown(v jsontext.Value) string {
	if v == nil {
		return ""
	}
	if v.Kind() != '"' {
		return safetext.Bound(string(v), maxShown)
	}
	text := textOf(v)
	if text == "" {
		return `""`
	}
	return safetext.Bound(text, maxShown)
}

// textOf returns what a string says, "" for anything else.
func textOf(v jsontext.Value) string {
	var text string
	if v == nil || v.Kind() != '"' || json.Unmarshal(v, &text) != nil {
		return ""
	}
	return text
}
