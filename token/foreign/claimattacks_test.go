package foreign_test

import (
	"fmt"
	"slices"
	"strings"

	"devicegate/reason"
	"devicegate/token"
)

// jsonAttacks: J9, claims sets that the issuer's key signed and two parsers could read differently.
func jsonAttacks(v voice) []attack {
	sign := func(claims string) string { return v.sign(v.header(), claims) }
	object := v.claims.String()
	inner := strings.TrimSuffix(object, "}")
	list := wrapAttacks("claims", object, sign)
	var twice []string
	for _, p := range v.claims {
		twice = append(twice, `"`+p[0]+`":`+p[1], `"`+p[0]+`":null`, fmt.Sprintf(`"\u%04x%s":9999999999`, p[0][0], p[0][1:]))
	}
	for _, extra := range append(twice, `"a":{"b":1,"b":2}`, `"a":[{"b":1,"b":1}]`) {
		list = append(list,
			attack{"claims and " + extra, sign(inner + "," + extra + "}"), malformed},
			attack{"claims after " + extra, sign("{" + extra + "," + inner[1:] + "}"), malformed})
	}
	for _, claims := range []string{`null`, `[]`, `""`, `0`, `true`, ``, `[` + object + `]`, `"` + b64(object) + `"`} {
		list = append(list, attack{"claims " + claims, sign(claims), malformed})
	}
	list = append(list, attack{"claims over the size", sign(inner + `,"a":"` + strings.Repeat("a", token.MaxSize) + `"}`), malformed})
	nothing := malformed
	if v.claims.value("iss") != "" {
		nothing = unverified // without iss it is nobody's
	}
	many := make([]string, 600)
	for i := range many {
		many[i] = fmt.Sprintf(`"%d":0`, i)
	}
	return append(list, attack{"no claims", sign("{}"), nothing}, attack{"many claims, none of them read", sign("{" + strings.Join(many, ",") + "}"), nothing})
}

// letterCaseAttacks: a claim that is read, in another letter case beside it or instead of it. The last two are
// letters that become s and k when letter case is ignored.
func letterCaseAttacks(v voice) []attack {
	var list []attack
	read := []string{"iss", "aud", "exp", "nbf", "iat", "jti", "sub", "token_type", "typ", v.names.UserID, v.names.Username, v.names.DeviceUID}
	first, _, _ := strings.Cut(v.names.Roles, ".")
	for _, name := range append(read, v.names.Roles, first) {
		value := v.claims.value(name)
		if value == "" {
			value = `"x"`
		}
		for _, other := range slices.Compact([]string{strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], name[:len(name)-1] + strings.ToUpper(name[len(name)-1:]), strings.Replace(name, "s", "ſ", 1), strings.Replace(name, "k", "\u212a", 1)}) {
			if other == name {
				continue
			}
			list = append(list,
				attack{other + " beside " + name, v.signClaims(v.claims.with(other, value)), malformed},
				attack{other + " before " + name, v.signClaims(append(members{{other, value}}, v.claims...)), malformed})
			why := malformed
			if name == "iss" && v.claims.value("iss") != "" {
				why = unverified // without iss it is nobody's
			}
			list = append(list, attack{other + " instead of " + name, v.signClaims(v.claims.without(name).with(other, value)), why})
		}
	}
	return list
}

// claimAttacks: claims that the issuer's key signed, in good form, and that do not let anybody pass.
func claimAttacks(g *gate, v voice) []attack {
	return slices.Concat(timeAttacks(v), purposeAttacks(v), audienceAttacks(v), issAttacks(g, v), idAttacks(v), deviceAttacks(v), nameAttacks(v), roleAttacks(v))
}

// signed makes an attack of each value of a claim.
func (v voice) signed(claim string, why reason.Reason, values ...string) (list []attack) {
	for _, value := range values {
		list = append(list, attack{fmt.Sprintf("%s %.40s", claim, value), v.signClaims(v.claims.with(claim, value)), why})
	}
	return list
}

// notText are the kinds of JSON that are not a string.
var notText = []string{`null`, `true`, `false`, `7`, `-0.5`, `[]`, `["a"]`, `{}`, `{"a":"b"}`}

// timeAttacks: J10.
func timeAttacks(v voice) []attack {
	list := []attack{{"exp missing", v.signClaims(v.claims.without("exp")), malformed}}
	for _, name := range []string{"exp", "nbf", "iat"} {
		list = append(list, v.signed(name, malformed,
			`0`, `0.0`, `0.9`, `-1`, `-0`, `-1800000300`, `null`, `true`, `""`, `"1800000300"`, `"2027-01-15T08:05:00Z"`, `[1800000300]`, `{}`, `1e308`, `1e400`, `1.8e9`, `1.8E9`, `18000003e2`, `1800000300e0`,
			`1800000300.5e0`, `9007199254740993`, `9223372036854775807`, `9223372036854775808`, `18446744073709551616`, `-9223372036854775809`, `1`+strings.Repeat("0", 400))...)
	}
	at := func(name string, seconds any) members { return v.claims.with(name, fmt.Sprint(seconds)) }
	long, later := start+lifetime, start+v.leeway+1
	for _, a := range []struct {
		name   string
		claims members
		want   reason.Reason
	}{
		{"exp now", at("exp", start).without("iat"), reason.TokenExpired},
		{"exp now and a half", at("exp", "1800000000.5").without("iat"), reason.TokenExpired},
		{"exp now and nearly one more", at("exp", "1800000000.999999999999").without("iat"), reason.TokenExpired},
		{"exp now-1", at("exp", start-1).with("iat", fmt.Sprint(start-100)), reason.TokenExpired},
		{"exp within a leeway", at("exp", start-v.leeway).with("iat", fmt.Sprint(start-100)), reason.TokenExpired},
		{"iat leeway+1", at("iat", later), reason.TokenNotYetValid},
		{"iat leeway+1.9", at("iat", fmt.Sprint(later)+".9"), reason.TokenNotYetValid},
		{"nbf leeway+1", at("nbf", later), reason.TokenNotYetValid},
		{"nbf a little over the leeway", at("nbf", fmt.Sprint(later-1)+".001"), reason.TokenNotYetValid},
		{"nbf far ahead", at("nbf", start+200), reason.TokenNotYetValid},
		{"nbf is exp", at("nbf", start+300), malformed},
		{"nbf after exp", at("nbf", start+301), malformed},
		{"nbf a little before exp", at("nbf", "1800000299.5"), malformed},
		{"iat is exp", at("iat", start+300), malformed},
		{"iat after exp", at("iat", start+301), malformed},
		{"lives a second too long", at("exp", long+1), reason.TokenLivesTooLong},
		{"lives a second and a bit too long", at("exp", fmt.Sprint(long+1)+".5"), reason.TokenLivesTooLong},
		{"lives too long since long ago", at("iat", start-lifetime), reason.TokenLivesTooLong},
		{"lives too long, without iat", at("exp", long+1).without("iat"), reason.TokenLivesTooLong},
		{"lives for ever", at("exp", "9007199254740992"), reason.TokenLivesTooLong},
		{"lives for ever, without iat", at("exp", "9007199254740992").without("iat"), reason.TokenLivesTooLong},
		{"iat at the beginning of time", at("iat", 1), reason.TokenLivesTooLong},
	} {
		list = append(list, attack{a.name, v.signClaims(a.claims), a.want})
	}
	return list
}

// purposeAttacks: J11, tokens of the issuer's key for something else.
func purposeAttacks(v voice) []attack {
	list := v.signed("token_type", wrongType, `"refresh"`, `"sliding"`, `"Refresh"`, `"Access"`, `"ACCESS"`, `"access "`, `"access\u0000"`, `"bearer"`, `"id"`, `"mfa"`, `""`)
	list = append(list, v.signed("token_type", wrongType, notText...)...)
	list = append(list, v.signed("cnf", wrongType, `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`, `{"x5t#S256":"x"}`, `{}`, `null`, `"x"`)...)
	if v.oneKey() {
		return append(list, attack{"token_type missing", v.signClaims(v.claims.without("token_type")), wrongType},
			attack{"token_type Bearer", v.signClaims(v.claims.with("token_type", `"Bearer"`)), wrongType})
	}
	list = append(list, v.signed("typ", wrongType, `"Refresh"`, `"ID"`, `"Offline"`, `"Logout"`, `"Serialized-ID"`, `"bearer"`, `"BEARER"`, `"Bearer "`, `"DPoP"`, `"access"`, `"at+jwt"`, `""`)...)
	list = append(list, v.signed("typ", wrongType, notText...)...)
	for _, member := range []string{"at_hash", "c_hash", "s_hash", "events"} {
		list = append(list, v.signed(member, wrongType, `"x"`, `""`, `null`, `{"http://schemas.openid.net/event/backchannel-logout":{}}`)...)
	}
	for _, typ := range []string{
		"logout+jwt", "dpop+jwt", "rt+jwt", "id+jwt", "secevent+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "application/logout+jwt", "LOGOUT+JWT", "JWE", "JOSE", "JOSE+JSON", "at", "jwt+at", "at+jwt ",
		" JWT", "at+jwt;v=1", `at+jwt\u0000`, "application/", "application/application/jwt", "text/jwt", "Bearer", "ID",
	} {
		header := strings.Replace(v.header(), `"JWT"`, `"`+typ+`"`, 1)
		list = append(list, attack{"typ " + typ, v.sign(header, v.claims.String()), wrongType})
	}
	return list
}

func audienceAttacks(v voice) []attack {
	if v.audience == "" {
		return nil
	}
	a := v.audience
	list := v.signed("aud", wrongAudience,
		`"other"`, `""`, `"`+a+`2"`, `"x`+a+`"`, `"`+a+` "`, `" `+a+`"`, `"`+strings.ToUpper(a)+`"`, `"`+a+`,other"`, `"`+a+` other"`, `"`+a+`\u0000"`, `"`+a[1:]+`"`, `"*"`,
		`[]`, `["other"]`, `["other","`+a+`2"]`, `[["`+a+`"]]`, `[7,"`+a+`"]`, `["`+a+`",null]`, `["`+a+`",{}]`, `7`, `null`, `true`, `{"`+a+`":1}`, `{"0":"`+a+`"}`)
	return append(list, attack{"aud missing", v.signClaims(v.claims.without("aud")), wrongAudience})
}

// issAttacks: the issuer's own key, and the name of somebody else or of nobody.
func issAttacks(g *gate, v voice) []attack {
	list := append(v.signed("iss", unverified, `"`+ours+`"`), v.signed("iss", unverified, notText...)...)
	list = append(list, v.signed("iss", awayReason(v), `"`+awayIss+`"`)...)
	mine := v.claims.value("iss")
	for _, c := range g.configs {
		if iss := `"` + c.Issuer + `"`; c.Name != "away" && c.Issuer != "" && iss != mine {
			list = append(list, v.signed("iss", unverified, iss)...)
		}
	}
	if mine == "" {
		return list
	}
	iss := strings.Trim(mine, `"`)
	list = append(list, v.signed("iss", unverified,
		`""`, `"`+iss+`/"`, `"`+iss+` "`, `"`+strings.ToUpper(iss)+`"`, `"`+strings.Replace(iss, "https", "HTTPS", 1)+`"`, `"`+strings.Replace(iss, "https", "http", 1)+`"`, `"`+iss+`?"`, `"`+iss+`#"`,
		`"`+iss+`\u0000"`, `"`+iss+`/../a"`, `"`+iss[:len(iss)-1]+`"`, `"`+strings.TrimPrefix(iss, "https://")+`"`, `"`+strings.Replace(iss, "e", "е", 1)+`"`)...)
	return append(list, attack{"iss missing", v.signClaims(v.claims.without("iss")), unverified})
}

// idAttacks: whose the token is, and which one it is.
func idAttacks(v voice) []attack {
	id := v.names.UserID
	list := []attack{{"the id missing", v.signClaims(v.claims.without(id)), malformed}}
	list = append(list, v.signed(id, malformed,
		`null`, `true`, `false`, `7.0`, `7e0`, `7E0`, `0.7e1`, `-7`, `-0`, `1e400`, `9007199254740993`, `18446744073709551616`, `""`, `" "`, `"7 "`, `"\u00a0"`, `{}`, `[]`, `["7"]`, `{"id":7}`,
		`"7\u0000"`, `"\u0000"`, `"7\n"`, `"7\u200b"`, `"7\u202e"`, `"\ufeff7"`, `"7\u001b[0m"`, `"\ue000"`, `"`+strings.Repeat("7", 150)+`"`, `"`+strings.Repeat("é", 150)+`"`)...)
	list = append(list, v.signed("jti", malformed, notText...)...)
	list = append(list, v.signed("sub", malformed, notText...)...)
	if v.oneKey() {
		list = append(list, attack{"jti missing", v.signClaims(v.claims.without("jti")), malformed})
	}
	return list
}

func deviceAttacks(v voice) []attack {
	claim := v.names.DeviceUID
	list := append(v.signed(claim, malformed, notText...), v.signed(claim, malformed,
		`"00000000-0000-0000-0000-000000000000"`, `"00000000000000000000000000000000"`, `"`+strings.Repeat("d", 513)+`"`, `"`+strings.Repeat("é", 257)+`"`, `["`+device+`"]`)...)
	return append(list,
		attack{"device missing", v.signClaims(v.claims.without(claim)), reason.DeviceUIDMissing},
		attack{"device empty", v.signClaims(v.claims.with(claim, `""`)), reason.DeviceUIDMissing})
}

// nameAttacks: names that could not be shown, and those of the users of issuers.
func nameAttacks(v voice) []attack {
	claim := v.names.Username
	list := append(v.signed(claim, malformed, notText...), v.signed(claim, malformed,
		`" "`, `" ann"`, `"ann "`, `"ann\n"`, `"a\r\nX-Admin: 1"`, `"\u0000"`, `"ann\u0000"`, `"a\u007fnn"`, `"a\u0085nn"`, `"a\u200bnn"`, `"a\u200dnn"`, `"a\u202enn"`, `"\ufeffann"`, `"a\u00adnn"`, `"a\u2028nn"`,
		`"a\ufe0fnn"`, `"a\u3164nn"`, `"\u2800"`, `"a\u001b[31mnn"`, `"\ue000"`, `"\ud83d\ude00\udbff\udfff"`, `"`+strings.Repeat("a", 151)+`"`, `"`+strings.Repeat("é", 151)+`"`)...)
	return append(list, v.signed(claim, unverified,
		`"idp:7"`, `"django:07"`, `"django:8"`, `"pem:07"`, `"away:7"`, `"twin-a:7"`, `"namesake:x y"`, `"IDP:7"`, `"Idp:7"`, `"iDP:f3a9-ann"`, `"idp:"`, `"idp::"`, `"idp: 7"`, `"idp :7"`, `"idp  :7"`, `"idp\u00a0:7"`, `"idp\u3000:7"`,
		`"idp：7"`, `"idp︓7"`, `"idp﹕7"`, `"idp⩴7"`, `"ｉｄｐ:7"`, `"ＩＤＰ：7"`, `"ⅰdp:7"`, `"𝐢𝐝𝐩:7"`, `"nameſake:7"`, `"twin－a:7"`, `"ᴵdp:7"`, `"`+v.name+`:somebody-else"`, `"`+strings.ToUpper(v.name)+`:7"`)...)
}

func roleAttacks(v voice) []attack {
	var list []attack
	for _, value := range []string{`null`, `true`, `7`, `{}`, `{"editors":true}`, `[7]`, `[null]`, `["editors",7]`, `[["editors"]]`, `[{"name":"editors"}]`, rolesOf(33), strings.NewReplacer("[", "", "]", "", `","`, " ").Replace(rolesOf(33))} {
		list = append(list, attack{fmt.Sprintf("roles %.40s", value), v.signClaims(v.withRoles(value)), malformed})
	}
	tooMuch := v.withRoles(rolesOf(14)).with(v.names.Username, `"`+strings.Repeat("é", 148)+`xx"`)
	return append(list, attack{"a name and roles over what headers hold", v.signClaims(tooMuch), malformed})
}
