package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"devicegate/doctor"
)

// doctorCodes says by which code doctor finds each danger and each weakening of the seam tests, by product and
// title. What is not here is a danger that is safe, which needs no finding; TestDoctorFindsEveryDanger fails for
// everything else that is not here, and for a title that is no longer there. None is left to probes.
var doctorCodes = map[string]map[string]string{
	"nginx": {
		"satisfy any":                                                          "nginx-satisfy-any",
		"return in a protected location":                                       "nginx-return-before-check",
		"if OPTIONS return 204":                                                "nginx-return-before-check",
		"a header of its own in a nested location":                             "nginx-identity-not-set",
		"proxy_intercept_errors with error_page in the check":                  "nginx-check-error-page",
		"X-Accel-Redirect obeyed":                                              "nginx-accel-redirect",
		"underscores_in_headers on":                                            "nginx-underscores-in-headers",
		"ignore_invalid_headers off":                                           "nginx-ignore-invalid-headers",
		"no proxy_read_timeout":                                                "nginx-check-timeout",
		"no Content-Length \"\" in the check":                                  "nginx-check-content-length",
		"proxy_cache by path, against Cache-Control":                           "nginx-check-cache",
		"any upgrade passed on":                                                "nginx-upgrade-any",
		"mirror":                                                               "nginx-mirror",
		"auth_request with a name that no location has":                        "nginx-check-unknown",
		"the same without location /_devicegate/":                              "nginx-check-unknown",
		"a policy in auth_request's own query, without location /_devicegate/": "nginx-check-unknown",
		"proxy_pass_request_headers off in the check":                          "nginx-check-no-authorization",
		"internal":                           "nginx-check-not-internal",
		"identity set":                       "nginx-identity-not-set",
		"identity in the nested location":    "nginx-identity-not-set",
		"identity emptied on open locations": "nginx-identity-on-open",
		"dot segments":                       "nginx-path-refusal",
		"dot segments after a number sign":   "nginx-path-refusal",
		"dot segments with a parameter":      "nginx-path-refusal",
		"encoded slash":                      "nginx-path-refusal",
		"encoded backslash":                  "nginx-path-refusal",
		"encoded percent":                    "nginx-path-refusal",
		"odd header names":                   "nginx-ignore-invalid-headers",
		"X-Accel-Redirect":                   "nginx-accel-redirect",
		"$host":                              "nginx-http-host",
		"the client's address":               "nginx-check-client-address",
		"the policy of a location":           "nginx-check-unused",
	},
	"traefik": {
		"authResponseHeaders, and aliases kept":                     "traefik-identity-kept",
		"underscoreHeadersStrategy instead of aliasHeadersStrategy": "traefik-aliases",
		"an entry point that trusts everybody: the host":            "traefik-forwarded-insecure",
		"an entry point that trusts everybody: the method":          "traefik-forwarded-insecure",
		"trustForwardHeader: false behind such an entry point":      "traefik-forwarded-insecure",
		"the endpoint of another proxy":                             "traefik-check-endpoint",
		"a router without a middleware":                             "traefik-identity-on-open",
		"a misspelt middleware on the staff router":                 "traefik-unknown-middleware",
		"authRequestHeaders without Authorization":                  "traefik-check-no-authorization",
		"aliases on open routes":                                    "traefik-aliases",
		"aliases on protected routes":                               "traefik-identity-kept",
		"the client's own name":                                     "traefik-identity-kept",
		"encoded slash":                                             "traefik-encoded-characters",
		"encoded backslash":                                         "traefik-encoded-characters",
		"encoded percent":                                           "traefik-encoded-characters",
		"encoded semicolon":                                         "traefik-encoded-characters",
		"a dot segment with a parameter":                            "traefik-dot-segment",
		"identity stripped on open routers":                         "traefik-identity-on-open",
		"an entry point that trusts nobody":                         "traefik-forwarded-insecure",
		"the policy of a router":                                    "traefik-check-unused",
	},
	"envoy_grpc": envoyCodes(nil),
	"envoy_http": envoyCodes(map[string]string{
		"allowed_upstream_headers_to_append":                                              "envoy-upstream-append",
		"allowed_upstream_headers_to_append without header_mutation":                      "envoy-upstream-append",
		"an identity name missing from allowed_upstream_headers, without header_mutation": "envoy-upstream-headers",
		"no allowed_client_headers":                                                       "envoy-client-headers",
		"path_prefix without a policy":                                                    "envoy-path-prefix",
		"allowed_upstream_headers":                                                        "envoy-upstream-headers",
		"allowed_client_headers":                                                          "envoy-client-headers",
		"allowed_headers":                                                                 "envoy-allowed-headers",
	}),
	"caddy": {
		"route, not handle":                   "caddy-identity-lost",
		"identity removed on open routes":     "caddy-identity-not-removed",
		"aliases removed on open routes":      "caddy-aliases",
		"aliases removed before the check":    "caddy-aliases",
		"the gate's own name alone":           "caddy-copy-headers",
		"copy_headers":                        "caddy-copy-headers",
		"Connection":                          "caddy-connection",
		"Connection of a handshake":           "caddy-connection",
		"Connection, with WebSockets in mind": "caddy-connection",
		"Upgrade":                             "caddy-upgrade",
		"the question mark":                   "caddy-uri-query",
		"response_header_timeout":             "caddy-check-timeout",
		"the client's X-Forwarded-Uri":        "caddy-forwarded",
		"the client's X-Forwarded-Method":     "caddy-forwarded",
		"the client's X-Forwarded-Prefix":     "caddy-forwarded",
		"the client's X-Forwarded-Port":       "caddy-forwarded",
		"dot segments":                        "caddy-path-refusal",
		"dot segments below the open route":   "caddy-path-refusal",
		"dot segments with a parameter":       "caddy-path-refusal",
		"encoded slash":                       "caddy-path-refusal",
		"encoded backslash":                   "caddy-path-refusal",
		"encoded percent":                     "caddy-path-refusal",
		"the open route as it is written":     "caddy-open-path",
		"the strict route without a slash":    "caddy-strict-path",
		"the policy of a route":               "gate-policy-unused",
		"the last check":                      "caddy-rest-open",
		"trust in nobody":                     "caddy-trusted-proxies",
	},
	"haproxy": {
		"identity removed on open routes":                          "haproxy-identity-not-removed",
		"odd header names on open routes":                          "haproxy-header-names",
		"odd header names on protected routes":                     "haproxy-header-names",
		"identity set by the script":                               "haproxy-lua-identity",
		"identity removed by the script too":                       "haproxy-lua-identity",
		"Connection":                                               "haproxy-connection",
		"Connection of a handshake":                                "haproxy-connection",
		"Upgrade":                                                  "haproxy-upgrade",
		"the client's address":                                     "haproxy-forwarded",
		"the client's X-Forwarded-Host":                            "haproxy-forwarded",
		"the client's X-Forwarded-Prefix":                          "haproxy-forwarded",
		"the client's X-Forwarded-Port":                            "haproxy-forwarded",
		"the open route as it is written":                          "haproxy-open-acl",
		"the strict route, decoded":                                "haproxy-strict-acl",
		"the strict route, with doubled slashes":                   "haproxy-strict-acl",
		"a broken escape, which cannot be decoded":                 "haproxy-path-refusal",
		"the policy of a route":                                    "gate-policy-unused",
		"the last deny, the gate broken":                           "haproxy-no-final-deny",
		"the last deny, the gate hanging":                          "haproxy-no-final-deny",
		"the last deny, the script failing":                        "haproxy-no-final-deny",
		"status 200 alone allows":                                  "haproxy-lua-status",
		"a gate's refusal ends the request":                        "haproxy-no-final-deny",
		"the time limit":                                           "haproxy-lua-timeout",
		"dot segments":                                             "haproxy-path-refusal",
		"dot segments with a parameter":                            "haproxy-path-refusal",
		"encoded dots":                                             "haproxy-path-refusal",
		"encoded slash":                                            "haproxy-path-refusal",
		"encoded backslash":                                        "haproxy-path-refusal",
		"encoded percent":                                          "haproxy-path-refusal",
		"dot segments refused, and not cleaned in the wrong order": "haproxy-normalize-order",
	},
}

// envoyCodes are those of both ways in which Envoy asks, and more of one of them.
func envoyCodes(more map[string]string) map[string]string {
	codes := map[string]string{
		"failure_mode_allow: the gate is down":                       "envoy-failure-mode-allow",
		"failure_mode_allow: the gate hangs":                         "envoy-failure-mode-allow",
		"failure_mode_allow: the gate breaks":                        "envoy-failure-mode-allow",
		"failure_mode_allow without header_mutation":                 "envoy-failure-mode-allow",
		"ext_authz disabled on a route":                              "envoy-check-unused",
		"filter_enabled of 0 %":                                      "envoy-filter-enabled",
		"shadow_mode":                                                "envoy-shadow-mode",
		"no header_mutation: an alias":                               "envoy-aliases",
		"no header_mutation: the name itself, on an open route":      "envoy-identity-not-removed",
		"headers_with_underscores_action: ALLOW, no header_mutation": "envoy-aliases",
		"path options left at their defaults":                        "envoy-normalize-path",
		"no refusal of %25, %00, %3b and ..;":                        "envoy-path-refusal",
		"use_remote_address: false":                                  "envoy-use-remote-address",
		"identity removed before the check":                          "envoy-identity-not-removed",
		"odd header names":                                           "envoy-aliases",
		"normalize_path":                                             "envoy-normalize-path",
		"merge_slashes":                                              "envoy-merge-slashes",
		"escaped slashes":                                            "envoy-escaped-slashes",
		"the route that refuses":                                     "envoy-path-refusal",
		"the route that refuses, with a parameter":                   "envoy-path-refusal",
		"failure_mode_allow, the gate down":                          "envoy-failure-mode-allow",
		"use_remote_address":                                         "envoy-use-remote-address",
		"the policy of a route":                                      "gate-policy-unused",
	}
	for title, code := range more {
		codes[title] = code
	}
	return codes
}

// TestDoctorFindsEveryDanger writes each example with one danger or weakening of the seam tests in it, and has
// doctor find that by its code; the example as it stands is clean. Both are done a second time with identity
// headers that the operator has given other names.
func TestDoctorFindsEveryDanger(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			titles := map[string]bool{}
			for name, rename := range map[string]func(string) string{"": func(s string) string { return s }, " renamed": renamed} {
				expectFindings(t, p, "the example"+name, rename, nil)
				for _, d := range everyDanger(p) {
					titles[d.title] = true
					code, expected := doctorCodes[p.name][d.title]
					if !expected && !d.safe {
						t.Errorf("%s: no code is expected", d.title)
					}
					if expected {
						expectFindings(t, p, d.title+name, rename, d.changes, code)
					}
				}
			}
			for title := range doctorCodes[p.name] {
				if !titles[title] {
					t.Errorf("a code is expected for %q, which is no danger any more", title)
				}
			}
		})
	}
}

// TestDoctorOnExamples: the folder of each proxy as a whole is clean.
func TestDoctorOnExamples(t *testing.T) {
	t.Parallel()
	for _, proxy := range doctor.Proxies {
		folder := filepath.Join("..", "examples", proxy)
		report := doctor.Files([]string{folder}, doctor.Options{})
		if len(report.Findings) > 0 || report.Asks < 2 || report.Rules < 10 {
			t.Errorf("%s: %d places ask, %d rules\n%s", folder, report.Asks, report.Rules, lines(report.Findings))
		}
	}
}

// everyDanger returns the dangers and weakenings of a product as dangers.
func everyDanger(p product) []danger {
	var all []danger
	if p.name != "caddy" && p.name != "haproxy" {
		all = dangersOf(p.name)
	}
	for _, w := range weakenings(p) {
		all = append(all, danger{weakening: w})
	}
	return all
}

// renamed gives the identity headers other names, as an operator does in all files.
func renamed(text string) string {
	return strings.NewReplacer(
		"Remote-", "Person-", "remote-", "person-", "http_remote_", "http_person_", "-Remote*", "-Person*", "(?i)^remote[", "(?i)^person[",
	).Replace(text)
}

// expectFindings writes the files of an example with changes, and compares what doctor finds with the codes:
// none where there are none, at least one of each else.
func expectFindings(t *testing.T, p product, title string, rename func(string) string, changes []literal, codes ...string) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range p.files {
		copyExample(t, p.example, file, dir, changes)
	}
	copyExample(t, p.example, "devicegate.yaml", dir, nil)
	for _, file := range append([]string{"devicegate.yaml"}, p.files...) {
		name := filepath.Join(dir, file)
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text := rename(string(content))
		if file == "devicegate.yaml" && rename("Remote-User") != "Remote-User" {
			text += "\nidentity_headers: {user: Person-User, roles: Person-Groups, device: Person-Device}\n"
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report := doctor.Files([]string{dir}, doctor.Options{})
	if len(codes) == 0 && len(report.Findings) > 0 {
		t.Errorf("%s is not clean:\n%s", title, lines(report.Findings))
	}
	for _, code := range codes {
		if !slices.ContainsFunc(report.Findings, func(f doctor.Finding) bool { return f.Code == code }) {
			t.Errorf("%s: no %s among\n%s", title, code, lines(report.Findings))
		}
	}
}

func lines(findings []doctor.Finding) string {
	var all strings.Builder
	for _, f := range findings {
		all.WriteString(f.String() + "\n")
	}
	return all.String()
}
