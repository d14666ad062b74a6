package tokentest

import (
	"fmt"
	"strings"

	"devicegate/reason"
)

// ClaimsCase is a set of claims that the gate's key signed, and what becomes of it.
type ClaimsCase struct {
	Name   string
	Claims Members
	Want   reason.Reason
}

// ClaimsCases returns what J10 to J12 say of claims, good sets among them.
func (f *Forger) ClaimsCases() []ClaimsCase {
	h, m := f.Honest, f.claims()
	user, device := h.User.String(), h.Device.String()
	start, lifetime, leeway := h.Now, h.Lifetime, h.Leeway
	tests := []ClaimsCase{
		{"honest", m, reason.OK},
		{"a claim of a later version", m.With("amr", `{"a":[{}]}`), reason.OK},
		{"roles empty", m.With("roles", `[]`), reason.OK},

		{"iss other", m.With("iss", `"https://other.example"`), reason.TokenUnverified},
		{"iss other case", m.With("iss", `"`+strings.ToUpper(h.Issuer)+`"`), reason.TokenUnverified},
		{"iss with slash", m.With("iss", `"`+h.Issuer+`/"`), reason.TokenUnverified},
		{"token_type refresh", m.With("token_type", `"refresh"`), reason.TokenWrongType},
		{"token_type other case", m.With("token_type", `"Access"`), reason.TokenWrongType},
		{"aud other", m.With("aud", `"gate2"`), reason.TokenWrongAudience},
		{"aud list", m.With("aud", `["`+h.Audience+`"]`), reason.TokenMalformed},

		{"exp now-1", m.With("exp", fmt.Sprint(start-1)), reason.TokenExpired},
		{"exp now", m.With("exp", fmt.Sprint(start)), reason.TokenExpired},
		{"exp now+1", m.With("exp", fmt.Sprint(start+1)).With("iat", fmt.Sprint(start-1)).With("nbf", fmt.Sprint(start-1)), reason.OK},
		{"nbf leeway-1", m.With("nbf", fmt.Sprint(start+leeway-1)), reason.OK},
		{"nbf leeway", m.With("nbf", fmt.Sprint(start+leeway)), reason.OK},
		{"nbf leeway+1", m.With("nbf", fmt.Sprint(start+leeway+1)), reason.TokenNotYetValid},
		{"iat leeway", m.With("iat", fmt.Sprint(start+leeway)), reason.OK},
		{"iat leeway+1", m.With("iat", fmt.Sprint(start+leeway+1)), reason.TokenNotYetValid},
		{"lives exactly the maximum", m.With("exp", fmt.Sprint(start+lifetime)), reason.OK},
		{"lives a second longer", m.With("exp", fmt.Sprint(start+lifetime+1)), reason.TokenLivesTooLong},
		{"lives for ever", m.With("exp", "9223372036854775807"), reason.TokenLivesTooLong},
		{"iat long ago", m.With("iat", "1"), reason.TokenLivesTooLong},
		{"nbf after exp, both within the leeway", m.With("exp", fmt.Sprint(start+1)).With("nbf", fmt.Sprint(start+2)), reason.TokenMalformed},
		{"iat after exp, both within the leeway", m.With("exp", fmt.Sprint(start+1)).With("iat", fmt.Sprint(start+2)), reason.TokenMalformed},

		{"device_uid missing", m.Without("device_uid"), reason.DeviceUIDMissing},
		{"device_uid null", m.With("device_uid", `null`), reason.DeviceUIDMissing},
		{"device_uid empty", m.With("device_uid", `""`), reason.DeviceUIDMissing},
		{"device_uid under another case", m.Without("device_uid").With("Device_UID", `"`+device+`"`), reason.DeviceUIDMissing},
		{"device_uid list", m.With("device_uid", `["`+device+`"]`), reason.TokenMalformed},
		{"device_uid number", m.With("device_uid", `7`), reason.TokenMalformed},
		{"device_uid upper case", m.With("device_uid", `"`+strings.ToUpper(device)+`"`), reason.TokenMalformed},
		{"device_uid without dashes", m.With("device_uid", `"`+strings.ReplaceAll(device, "-", "")+`"`), reason.TokenMalformed},
		{"device_uid in braces", m.With("device_uid", `"{`+device+`}"`), reason.TokenMalformed},
		{"device_uid urn", m.With("device_uid", `"urn:uuid:`+device+`"`), reason.TokenMalformed},
		{"device_generation number", m.With("device_generation", "7"), reason.OK},
		{"device_generation string", m.With("device_generation", `"7"`), reason.TokenMalformed},
		{"device_generation negative", m.With("device_generation", "-1"), reason.TokenMalformed},
		{"device_generation too large", m.With("device_generation", "4294967296"), reason.TokenMalformed},
		{"device_generation fraction", m.With("device_generation", "1.5"), reason.TokenMalformed},
		{"device_uid with space", m.With("device_uid", `" `+device+`"`), reason.TokenMalformed},
		{"device_uid confusable", m.With("device_uid", `"`+string(rune(device[0])+0xfee0)+device[1:]+`"`), reason.TokenMalformed}, // full-width
		{"device_uid zero", m.With("device_uid", `"00000000-0000-0000-0000-000000000000"`), reason.TokenMalformed},
		{"sub is no UUID", m.With("sub", `"ann"`).With("user_id", `"ann"`), reason.TokenMalformed},
		{"sub upper case", m.With("sub", `"`+strings.ToUpper(user)+`"`).With("user_id", `"`+strings.ToUpper(user)+`"`), reason.TokenMalformed},
		{"sub with NUL", m.With("sub", `"`+user+`\u0000"`), reason.TokenMalformed},
		{"user_id other", m.With("user_id", `"`+device+`"`), reason.TokenMalformed},

		{"roles null", m.With("roles", `null`), reason.TokenMalformed},
		{"roles text", m.With("roles", `"staff"`), reason.TokenMalformed},
		{"roles numbers", m.With("roles", `[1]`), reason.TokenMalformed},
		{"username number", m.With("username", `1`), reason.TokenMalformed},
	}
	if cyrillic := strings.NewReplacer("a", "а", "c", "с", "e", "е").Replace(device); cyrillic != device {
		tests = append(tests, ClaimsCase{"device_uid in Cyrillic", m.With("device_uid", `"`+cyrillic+`"`), reason.TokenMalformed})
	}
	wrong := map[bool]string{true: "aud", false: "token_type"} // a complete set comes first in the order
	for _, name := range []string{"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "roles", "username", "token_type", "user_id"} {
		tests = append(tests,
			ClaimsCase{name + " missing, and another claim wrong", m.With(wrong[name != "aud"], `"other"`).Without(name), reason.TokenMalformed},
			ClaimsCase{name + " in capitals", m.Without(name).With(strings.ToUpper(name), m.value(name)), reason.TokenMalformed})
	}
	for _, name := range []string{"exp", "iat", "nbf"} {
		for _, bad := range []string{
			`null`, `0`, `-1`, `-0`, `"1800000900"`, `"2027-01-15T08:15:00Z"`, `1800000900.5`, `1800000900.0`, `18000009e2`, `1.8E9`,
			`1e308`, `1e400`, `9223372036854775808`, `-9223372036854775809`, `18446744073709551616`, `true`, `[1800000900]`, `{}`,
		} {
			tests = append(tests, ClaimsCase{name + " " + bad, m.With(name, bad), reason.TokenMalformed})
		}
	}
	return tests
}

// claimAttacks: J10 to J12, the cases that are refused.
func (f *Forger) claimAttacks() []Attack {
	var list []Attack
	for _, c := range f.ClaimsCases() {
		if c.Want != reason.OK {
			list = append(list, Attack{"claims: " + c.Name, f.Sign(f.Header(), c.Claims.String()), c.Want})
		}
	}
	return list
}
