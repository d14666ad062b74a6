package main

import (
	"fmt"
	"strings"

	"devicegate/reason"
)

// advice is what a reason means to whoever runs the gate: what it comes from, and what to do about it.
type advice struct{ cause, remedy string }

// advices are those of all reasons. The page docs/explain.md has the same.
var advices = map[reason.Reason]advice{
	reason.OK:            {"the device lives, its user is enabled, and the policy's demands are met", "nothing"},
	reason.Anonymous:     {"there was no token, and the policy has anonymous: allow", "nothing, unless nobody was to pass without: take anonymous out of the policy"},
	reason.CORSPreflight: {"there was no token, it was a CORS preflight, and the policy has cors_preflight: allow", "nothing"},
	reason.Report:        {"the policy has mode: report, so everything passes, as nobody", "read what would have been decided, then take mode out of the policy"},

	reason.NoToken:          {"no Authorization came, or an empty one, or one of another scheme than Bearer", "see that the app sends it and that the proxy passes it on to the gate"},
	reason.BadAuthorization: {"Authorization came twice, had a comma, or was not Bearer, one space and a token", "let the app send it once; look for something on the way that adds its own"},
	reason.TokenMalformed:   {"it is no token of a form that is accepted: cut off, not a JWT, a claim missing or of another type", "see how the app keeps its token, and whether the claims of the issuer are those of the configuration"},
	reason.TokenUnverified:  {"algorithm, key, signature or issuer are not right; or a local user has the name of the token's", "explain tells which. After a rotation with --retire-now clients refresh; for another issuer see issuers, its keys and iss"},
	reason.TokenExpired:     {"its exp is over", "let the app refresh; if it does at once and often, compare the clocks"},
	reason.TokenNotYetValid: {"its nbf or iat is ahead by more than the leeway", "set the clocks of the issuer and the gate; tokens.leeway or the issuer's leeway bears a few seconds"},
	reason.TokenWrongType:   {"it is a refresh token, an ID token or another that is not for access", "let the app send the access token"},
	reason.TokenWrongAudience: {
		"its aud is for another service", "see tokens.audience, or the issuer's audience, and for whom the app asks its token",
	},
	reason.TokenLivesTooLong:   {"exp - iat is over the longest that is accepted", "let the issuer give shorter ones, or raise its max_lifetime"},
	reason.DeviceUIDMissing:    {"the claim that names the device is missing or empty", "let the issuer put it in, or name the right claim in claims.device_uid"},
	reason.DeviceNotRecognized: {"the device ended, expired or is unknown, or the token is of an earlier sign-in on it", "devicegate device show and devicegate activity tell more; the user signs in again"},
	reason.DeviceReplaced:      {"another sign-in put it out: the user had as many devices as he may", "raise devices.max_devices, or let it be: the user signs in again"},
	reason.DeviceCompromised:   {"a refresh token was used twice, or the address changed with ip_change: revoke", "take it for a theft until it is known better; devicegate activity shows from where"},
	reason.InactiveAccount:     {"the account is disabled, or was when the device ended", "devicegate user enable, and the user signs in again"},

	reason.PeerNotAllowed:    {"who asks the gate is not in checks.allowed_peers", "add the proxy's address, as the gate sees it, to checks.allowed_peers"},
	reason.RequestIncomplete: {"a header that the endpoint reads is missing, empty or there twice", "compare the proxy's configuration with the example for it, and the endpoint with the proxy"},
	reason.PolicyUnknown:     {"the proxy names a policy that the configuration lacks, or in a way that cannot be read", "compare ?policy= or the path prefix with the names below policies in devicegate.yaml"},
	reason.RoleMissing:       {"the user lacks a role that the policy demands", "devicegate user role NAME --add ROLE; for another issuer see its claims.roles and roles"},
	reason.DeviceTooNew:      {"the device is younger than min_device_age", "wait; or lower it"},
	reason.DeviceTooOld:      {"the device is older than max_device_age", "the user signs in as a new device; or raise it"},
	reason.NetworkNotAllowed: {"the client is in none of allowed_networks", "if it is another address than the client's, see trusted_proxies and what the proxy sends in X-Forwarded-For"},
	reason.CountryNotAllowed: {"the client's country may not, or is not known", "see the address as for network_not_allowed, and geo.mmdb_file"},

	reason.Starting:         {"devices and users are still being read from the store", "wait; if it lasts, the log says why"},
	reason.StoreUnavailable: {"what is known can no longer be trusted, or a new device cannot be stored", "the log says why: mend the disk, then restart"},
	reason.KeysUnavailable:  {"the keys of the token's issuer cannot be had, or none signs for the assertion", "/readyz and the log say why; see that the gate reaches the issuer's jwks_url"},
}

// reasonsHelp lists all reasons for a terminal.
func reasonsHelp() string {
	var text strings.Builder
	text.WriteString("Every reason, what it comes from and what to do:\n")
	for _, r := range reason.All() {
		fmt.Fprintf(&text, "\n  %s (%s)\n    %s.\n    To do: %s.\n", r, r.Outcome(), advices[r].cause, advices[r].remedy)
	}
	return strings.TrimRight(text.String(), "\n")
}

// reasonsTable lists all reasons as the page does.
func reasonsTable() string {
	var text strings.Builder
	text.WriteString("| reason | outcome | what it comes from | what to do |\n|---|---|---|---|\n")
	for _, r := range reason.All() {
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", r, r.Outcome(), advices[r].cause, advices[r].remedy)
	}
	return text.String()
}
