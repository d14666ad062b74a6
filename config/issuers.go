package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/goccy/go-yaml/ast"
)

// maxIssuers bounds how many keys one token can be held against.
const maxIssuers = 16

// adminRole is the role of those who administrate.
const adminRole = "admin"

// newIssuer returns the issuer of an empty map.
func newIssuer() Issuer {
	return Issuer{
		MaxLifetime:   time.Hour,
		Claims:        IssuerClaims{UserID: "user_id", Username: "username", DeviceUID: "device_uid"},
		Roles:         map[string]string{},
		UnknownDevice: UnknownDeviceRefuse,
		MaxDevices:    20,
	}
}

// issuerKeys is the table of the keys of the issuer at path.
func issuerKeys(path string, i *Issuer) []key {
	return []key{
		one(path+".name", &i.Name, issuerName),
		algorithms(path+".algorithms", &i.Algorithms),
		one(path+".secret_file", &i.SecretFile, optionalFile),
		one(path+".jwks_url", &i.JWKSURL, jwksURL),
		one(path+".jwks_file", &i.JWKSFile, optionalFile),
		one(path+".public_key_file", &i.PublicKeyFile, optionalFile),
		one(path+".issuer", &i.Issuer, orEmpty(claim)),
		one(path+".audience", &i.Audience, orEmpty(claim)),
		one(path+".accept_any_audience", &i.AcceptAnyAudience, yesOrNo),
		one(path+".max_lifetime", &i.MaxLifetime, wholeSeconds(durations(time.Second, 365*day))),
		one(path+".leeway", &i.Leeway, wholeSeconds(durations(0, time.Minute))),
		one(path+".claims.user_id", &i.Claims.UserID, printable),
		one(path+".claims.username", &i.Claims.Username, orEmpty(printable)),
		one(path+".claims.roles", &i.Claims.Roles, orEmpty(printable)),
		one(path+".claims.device_uid", &i.Claims.DeviceUID, printable),
		foreignRoles(path+".roles", &i.Roles),
		one(path+".unknown_device", &i.UnknownDevice, oneOf(UnknownDeviceRefuse, UnknownDeviceRegister)),
		one(path+".max_devices", &i.MaxDevices, numbers(1, 1000)),
		one(path+".refresh", &i.Refresh, refreshWord),
	}
}

// issuers is the list of issuers. Null leaves the default.
func issuers(path string, to *[]Issuer) key {
	return key{path: path, value: valueOf(to), decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		elements := w.elements(path, n)
		if len(elements) > maxIssuers {
			w.fault(path, n, fmt.Errorf("%d issuers; at most %d are allowed", len(elements), maxIssuers))
			elements = elements[:maxIssuers]
		}
		list := make([]Issuer, len(elements))
		for i, element := range elements {
			list[i] = newIssuer()
			inner := issuerPath(i)
			w.section(inner, element, issuerKeys(inner, &list[i]))
			w.checkIssuer(inner, element, list[i])
			for j := range i {
				w.checkTwins(j, i, element, list)
			}
		}
		*to = list
	}}
}

// issuerPath is the path of the issuer that has i in front of it.
func issuerPath(i int) string { return fmt.Sprintf("issuers[%d]", i) }

// algorithms is the list of algorithms of an issuer: none would let no token pass, and is more likely
// one that got lost.
func algorithms(path string, to *[]string) key {
	known := []string{
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512",
	}
	k := list(path, to, once(oneOf(known...)))
	decode := k.decode
	k.decode = func(w *walker, n ast.Node) {
		decode(w, n)
		if w.sound(path) && len(*to) == 0 {
			w.fault(path, n, fmt.Errorf("names no algorithm; write those that its tokens are signed with, such as [RS256]"))
		}
	}
	return k
}

// once narrows the rule for the elements of a list: none stands in it twice.
func once(rule func(string) (string, error)) func(string) (string, error) {
	seen := map[string]bool{}
	return func(text string) (string, error) {
		value, err := rule(text)
		if err == nil && seen[value] {
			return "", fmt.Errorf("%s stands in the list already; leave it out", quote(value))
		}
		seen[value] = true
		return value, err
	}
}

// orEmpty lets a rule for text also take "", which is none.
func orEmpty(rule func(string) (string, error)) func(string) (string, error) {
	return func(text string) (string, error) {
		if text == "" {
			return "", nil
		}
		return rule(text)
	}
}

// issuerName is the rule for the name of an issuer. A colon ends it where its users are named.
func issuerName(text string) (string, error) {
	bad := text == "" || len(text) > 32
	for _, r := range text {
		bad = bad || r >= 'A' && r <= 'Z' || !isAlphanumeric(r) && r != '-'
	}
	if bad {
		return "", fmt.Errorf("%s is not the name of an issuer; write 1 to 32 of a-z 0-9 -", quote(text))
	}
	return text, nil
}

// printable is the rule for words of another service, such as the name of a claim or of a role.
func printable(text string) (string, error) {
	odd := func(r rune) bool { return !unicode.IsPrint(r) }
	if text == "" || len(text) > 256 || strings.ContainsFunc(text, odd) {
		return "", fmt.Errorf("%s: write 1 to 256 bytes of printable text", quote(text))
	}
	return text, nil
}

// refreshWord is the rule for the refresh of an issuer.
func refreshWord(text string) (string, error) {
	if text != "" && text != RefreshExchange {
		return "", fmt.Errorf(`%s is not known; write %s, or "" for none`, quote(text), RefreshExchange)
	}
	return text, nil
}

// foreignRoles is the map from the roles of an issuer to ours. Null leaves the default.
func foreignRoles(path string, to *map[string]string) key {
	return key{path: path, value: valueOf(to), decode: func(w *walker, n ast.Node) {
		if isNull(n) {
			return
		}
		roles := map[string]string{}
		for _, e := range w.entries(path, n) {
			if _, err := printable(e.name); err != nil {
				w.fault(path, e.key, err)
				continue
			}
			role, err := parseNode(e.value, ownRole)
			if err != nil {
				w.fault(path, e.value, fmt.Errorf("of %s: %w", quote(e.name), err))
			}
			roles[e.name] = role
		}
		*to = roles
	}}
}

// ownRole is the rule for a role of ours that another issuer may give.
func ownRole(text string) (string, error) {
	if text == adminRole {
		return "", fmt.Errorf("%s is the role of our administrators, and another service must not make any; write another role", quote(text))
	}
	return shortName(text)
}

// checkIssuer applies the rules across the keys of one issuer. What is missing is a fault at its
// beginning.
func (w *walker) checkIssuer(path string, n ast.Node, i Issuer) {
	w.demand(path, n, "no name; write one, such as name: django", i.Name != "", "name")
	w.demand(path, n, "no algorithms; write those that its tokens are signed with, such as algorithms: [RS256]",
		len(i.Algorithms) > 0, "algorithms")
	w.checkIssuerKey(path, n, i)
	w.checkIssuerAudience(path, n, i)
	w.checkIssuerClaims(path, i)
}

// demand notes a fault of the issuer at path unless it is met, or one of the keys that could meet it
// has a fault of its own.
func (w *walker) demand(path string, n ast.Node, message string, met bool, keys ...string) {
	for _, k := range keys {
		met = met || !w.sound(path+"."+k)
	}
	if !met {
		w.complain(n, path+": "+message)
	}
}

// checkIssuerKey demands one key, and algorithms that are its own.
func (w *walker) checkIssuerKey(path string, n ast.Node, i Issuer) {
	names := []string{"secret_file", "jwks_url", "jwks_file", "public_key_file"}
	var set, paths []string
	for j, value := range []string{i.SecretFile, i.JWKSURL, i.JWKSFile, i.PublicKeyFile} {
		if value != "" {
			set, paths = append(set, names[j]), append(paths, path+"."+names[j])
		}
	}
	w.demand(path, n, "no key to check its tokens with; write one of "+strings.Join(names, ", "), len(set) > 0, names...)
	if len(set) > 1 {
		w.conflict(fmt.Sprintf("%s: %s are set; its tokens are checked with one of them, so leave out the others",
			path, strings.Join(set, " and ")), paths...)
	}

	isSecret := func(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }
	secret := slices.IndexFunc(i.Algorithms, isSecret)
	public := slices.IndexFunc(i.Algorithms, func(algorithm string) bool { return !isSecret(algorithm) })
	switch {
	case secret >= 0 && public >= 0:
		w.conflict(fmt.Sprintf("%s.algorithms: %s takes a shared secret and %s a public key, and an issuer has one key; make two issuers of it",
			path, i.Algorithms[secret], i.Algorithms[public]), path+".algorithms")
	case len(set) != 1:
	case secret >= 0 && i.SecretFile == "":
		w.conflict(fmt.Sprintf("%s.algorithms: %s takes a shared secret, but what %s holds is public, so that everybody could sign with it; write secret_file, or another algorithm",
			path, i.Algorithms[secret], set[0]), path+".algorithms", paths[0])
	case public >= 0 && i.SecretFile != "":
		w.conflict(fmt.Sprintf("%s.algorithms: %s takes a public key, but secret_file holds a shared secret; write HS256, HS384 or HS512, or another key",
			path, i.Algorithms[public]), path+".algorithms", paths[0])
	}
}

// checkIssuerAudience demands an audience, or the words that any is good.
func (w *walker) checkIssuerAudience(path string, n ast.Node, i Issuer) {
	w.demand(path, n, "no audience; write the aud of tokens that are meant for here, or accept_any_audience: true if a token meant for any other service may pass too",
		i.Audience != "" || i.AcceptAnyAudience, "audience", "accept_any_audience")
	if i.Audience != "" && i.AcceptAnyAudience {
		w.conflict(path+": audience and accept_any_audience are both set; leave out the one or the other",
			path+".audience", path+".accept_any_audience")
	}
}

// checkIssuerClaims holds the claims apart, and the map of the roles to their claim.
func (w *walker) checkIssuerClaims(path string, i Issuer) {
	names := []string{path + ".claims.user_id", path + ".claims.username", path + ".claims.roles", path + ".claims.device_uid"}
	values := []string{i.Claims.UserID, i.Claims.Username, i.Claims.Roles, i.Claims.DeviceUID}
	for a := range names {
		for b := range a {
			// Only the id and the name may be the same: there are providers that know people by their name.
			if values[a] != "" && values[a] == values[b] && (a != 1 || b != 0) {
				w.conflict(fmt.Sprintf("%s and %s are both %s; each is a claim of its own", names[b], names[a], quote(values[a])), names[b], names[a])
			}
		}
	}
	if roles, claim := path+".roles", path+".claims.roles"; len(i.Roles) > 0 && i.Claims.Roles == "" {
		w.conflict(fmt.Sprintf("%s does nothing, because %s names no claim to read roles from; set it, or leave out the map", roles, claim), roles, claim)
	}
}

// checkTwins holds the issuer at b, which stands at n, apart from an earlier one at a.
func (w *walker) checkTwins(a, b int, n ast.Node, list []Issuer) {
	pathA, pathB := issuerPath(a), issuerPath(b)
	if name := list[a].Name; name != "" && name == list[b].Name {
		w.conflict(fmt.Sprintf("%s.name and %s.name are both %s; a user of the one could not be told from one of the other", pathA, pathB, quote(name)),
			pathA+".name", pathB+".name")
	}
	for _, k := range []string{"secret_file", "jwks_url", "jwks_file", "public_key_file", "issuer", "audience", "accept_any_audience"} {
		if !w.sound(pathA+"."+k) || !w.sound(pathB+"."+k) {
			return
		}
	}
	if keyOf(list[a]) != [4]string{} && sameTokens(list[a], list[b]) {
		w.complain(n, fmt.Sprintf("%s has the key, issuer and audience of %s, so that one of them would never be asked; make them one", pathB, pathA))
	}
}

// keyOf returns what an issuer's tokens are checked with, in a form that compares.
func keyOf(i Issuer) [4]string {
	clean := func(path string) string {
		if path == "" {
			return ""
		}
		return filepath.Clean(path)
	}
	return [4]string{clean(i.SecretFile), i.JWKSURL, clean(i.JWKSFile), clean(i.PublicKeyFile)}
}

// sameTokens says whether the tokens of two issuers could not be told apart.
func sameTokens(a, b Issuer) bool {
	return keyOf(a) == keyOf(b) && a.Issuer == b.Issuer && a.Audience == b.Audience && a.AcceptAnyAudience == b.AcceptAnyAudience
}

// checkIssuersWithin holds the issuers to the rest of the configuration.
func (l *loader) checkIssuersWithin() {
	c := l.config
	for n, i := range c.Issuers {
		path := issuerPath(n)
		if _, set := l.origin[path+".max_devices"]; !set {
			c.Issuers[n].MaxDevices = min(i.MaxDevices, c.Devices.HardLimit)
			i = c.Issuers[n]
		}
		if i.Issuer == c.Tokens.Issuer {
			l.conflict(fmt.Sprintf("%s.issuer is %s, and so is tokens.issuer; a token of another service must not pass for one of ours, so write the iss of that service",
				path, quote(i.Issuer)), path+".issuer", "tokens.issuer")
		}
		if i.MaxDevices > c.Devices.HardLimit {
			l.conflict(fmt.Sprintf("%s.max_devices is %d, over devices.hard_limit, which is %d; lower the one or raise the other",
				path, i.MaxDevices, c.Devices.HardLimit), path+".max_devices", "devices.hard_limit")
		}
	}
}

// warnDroppedRoles tells of roles that are read and all dropped.
func (l *loader) warnDroppedRoles() {
	for n, i := range l.config.Issuers {
		if i.Claims.Roles != "" && len(i.Roles) == 0 {
			l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
				"%s.claims.roles, of %s, is %s, but every role in it is dropped, because roles names none; write which of ours they are, or leave out the claim",
				issuerPath(n), i.Name, quote(i.Claims.Roles)))
		}
	}
}

// warnAnyIssuer tells of key sets whose tokens are taken whatever iss they have. The URL is not
// repeated: it may hold a key.
func (l *loader) warnAnyIssuer() {
	for n, i := range l.config.Issuers {
		if source := i.JWKSURL + i.JWKSFile; source == "" || i.Issuer != "" {
			continue
		}
		l.config.Warnings = append(l.config.Warnings, fmt.Sprintf(
			"%s.issuer, of %s, is empty, so that tokens with any iss pass that a key of its JWKS has signed, such as those of another tenant of the same provider; write the iss that its tokens have",
			issuerPath(n), i.Name))
	}
}
