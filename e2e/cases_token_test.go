package e2e_test

import (
	"encoding/base64"
	"strings"
	"testing"
)

func tokenCases() []testCase {
	all := []testCase{
		{number: 3, title: "a valid token of a device that was deleted", want: everywhere(refused("device_not_recognized")),
			send: func(t *testing.T, b *bench, id string) exchange {
				s := b.gate.signIn(t, "alice")
				b.gate.deleteDevice(t, b.alice.Access, s.Device)
				return b.as(t, s.Access, id)
			}},
		{number: 37, title: "Connection: Authorization", headers: []string{asAlice, "Connection: Authorization"},
			want: everywhere(refused("no_token")).except(passes(), "nginx", "caddy", "haproxy")},
		{number: 37, title: "Connection: close, authorization", headers: []string{asAlice, "Connection: close, authorization"},
			want: everywhere(refused("no_token")).except(passes(), "nginx", "caddy", "haproxy")},
		{number: 38, title: "two Authorization lines", headers: []string{asAlice, asAlice},
			want: everywhere(refused("bad_authorization")).except(byProxy(400), "nginx")},
		{number: 38, title: "a bad Authorization line before the good one", headers: []string{"Authorization: Basic eDp5", asAlice},
			want: everywhere(refused("bad_authorization")).except(byProxy(400), "nginx")},
		{number: 38, title: "the same, asked with headers instead of header_map", want: only(refused("bad_authorization"), "envoy_grpc"),
			send: joined(testCase{headers: []string{asAlice, asAlice}})},
		{number: 1, title: "a valid token, asked with headers instead of header_map", want: only(passes(), "envoy_grpc"), check: seesAlice,
			send: joined(testCase{headers: []string{asAlice}})},
	}
	for _, forged := range []struct {
		title, reason string
		token         func(valid string) string
	}{
		{"alg none, signature kept", "token_unverified", withHeader(`{"alg":"none","typ":"at+jwt"}`)},
		{"alg none, signature empty", "token_malformed", func(valid string) string {
			none := withHeader(`{"alg":"none","typ":"at+jwt"}`)(valid)
			return none[:strings.LastIndexByte(none, '.')+1]
		}},
		{"kid unknown", "token_unverified", withHeader(`{"alg":"EdDSA","kid":"unknown","typ":"at+jwt"}`)},
		{"a claim changed", "token_unverified", func(valid string) string {
			part := strings.Split(valid, ".")
			claims, _ := base64.RawURLEncoding.DecodeString(part[1])
			changed := strings.ReplaceAll(string(claims), "alice", "admin")
			return part[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(changed)) + "." + part[2]
		}},
	} {
		all = append(all, testCase{number: 4, title: forged.title, want: everywhere(refused(forged.reason)),
			send: func(t *testing.T, b *bench, id string) exchange { return b.as(t, forged.token(b.alice.Access), id) }})
	}
	for _, odd := range []struct{ name, title, reason string }{
		{"audience", "signed by us, for another audience", "token_wrong_audience"},
		{"issuer", "signed by us, in another issuer's name", "token_unverified"},
		{"expired", "signed by us, expired", "token_expired"},
		{"future", "signed by us, not yet valid", "token_not_yet_valid"},
		{"long", "signed by us, living too long", "token_lives_too_long"},
	} {
		all = append(all, testCase{number: 4, title: odd.title, want: everywhere(refused(odd.reason)),
			send: func(t *testing.T, b *bench, id string) exchange { return b.as(t, b.odd[odd.name], id) }})
	}
	return append(all, schemeCases()...)
}

// joined sends a request through an Envoy that hands headers over as a map, repeated ones joined.
func joined(c testCase) func(*testing.T, *bench, string) exchange {
	return func(t *testing.T, b *bench, id string) exchange {
		other := b.changed(t, literal{b.files[0], "encode_raw_headers: true", "encode_raw_headers: false"})
		return other.exchange(t, c.raw(b, id), id)
	}
}

// as sends GET /{id} with a token.
func (b *bench) as(t *testing.T, token, id string) exchange {
	t.Helper()
	return b.exchange(t, testCase{headers: []string{"Authorization: Bearer " + token}}.raw(b, id), id)
}

// withHeader returns a change of a token's first part.
func withHeader(header string) func(string) string {
	return func(valid string) string {
		_, rest, _ := strings.Cut(valid, ".")
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + rest
	}
}

// schemeCases: each spelling of Authorization has one outcome.
func schemeCases() []testCase {
	var all []testCase
	for _, spelling := range []struct {
		value string
		want  answers
	}{
		{"Bearer {alice}, Bearer {alice}", everywhere(refused("bad_authorization"))},
		{"Bearer {alice},", everywhere(refused("bad_authorization"))},
		{"Basic eDp5, Bearer {alice}", everywhere(refused("bad_authorization"))},
		{"bearer {alice}", everywhere(passes())},
		{"BEARER {alice}", everywhere(passes())},
		{"Bearer  {alice}", everywhere(refused("bad_authorization"))},
		{"Bearer\t{alice}", everywhere(refused("bad_authorization"))},
		{"Bearer", everywhere(refused("bad_authorization"))},
		{"Bearer {alice} x", everywhere(refused("bad_authorization"))},
		{"Bearer x", everywhere(refused("token_malformed"))},
		{"Bearer {alice}=", everywhere(refused("token_malformed"))},
		{"{alice}", everywhere(refused("no_token"))},
		{"Basic eDp5", everywhere(refused("no_token"))},
		{"", everywhere(refused("no_token"))},
	} {
		title := strings.ReplaceAll(strings.ReplaceAll(spelling.value, "{alice}", "<token>"), "\t", "<tab>")
		all = append(all, testCase{number: 39, title: "Authorization: " + title, want: spelling.want,
			headers: []string{"Authorization: " + spelling.value}})
	}
	return all
}
