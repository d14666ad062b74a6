package config

import (
	"fmt"
	"strings"
)

func isAlphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// shortName is the rule for names of roles and policies: [a-z0-9][a-z0-9._-]{0,63}. They stand in
// headers, URLs and comma-separated lists.
func shortName(text string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("an empty name; write one")
	}
	bad := len(text) > 64 || strings.ContainsRune("._-", rune(text[0]))
	for _, r := range text {
		bad = bad || r >= 'A' && r <= 'Z' || !isAlphanumeric(r) && !strings.ContainsRune("._-", r)
	}
	if bad {
		return "", fmt.Errorf("%s is not a name; write at most 64 of a-z 0-9 . _ - with a letter or digit in front", quote(text))
	}
	return text, nil
}

// claim is the rule for tokens.issuer and tokens.audience.
func claim(text string) (string, error) {
	if text == "" {
		return "", fmt.Errorf("must not be empty; a token without it could be taken for another service's")
	}
	if len(text) > 256 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: write at most 256 printable ASCII characters without spaces", quote(text))
	}
	return text, nil
}

// basePath is the rule for api.base_path: "" or plain segments, so that no proxy rewrites it on the
// way.
func basePath(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if !strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") {
		return "", fmt.Errorf(`%s: write "" or a path with a slash in front and none at the end, such as /gate`, quote(text))
	}
	if len(text) > 128 {
		return "", fmt.Errorf("%s is longer than 128 characters", quote(text))
	}
	for _, segment := range strings.Split(text[1:], "/") {
		bad := segment == "" || segment == "." || segment == ".."
		for _, r := range segment {
			bad = bad || !isAlphanumeric(r) && !strings.ContainsRune("._~-", r)
		}
		if bad {
			return "", fmt.Errorf("%s: between slashes write a-z A-Z 0-9 . _ ~ -, and never . or .. or nothing", quote(text))
		}
	}
	return text, nil
}

// refusedHeader is a header that must not carry an identity: by its name, or by the beginning of it.
type refusedHeader struct {
	names    []string
	prefixes []string
	why      string
}

// refusedHeaders returns the headers that somebody on the way acts on. A user's name in one of
// them would steer a proxy or a backend: nginx, for one, serves any file that X-Accel-Redirect in
// the answer to its question names.
func refusedHeaders() []refusedHeader {
	return []refusedHeader{
		{
			names:    []string{"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "expect"},
			prefixes: []string{"proxy-"},
			why:      "it governs the connection between two hops",
		},
		{
			names:    []string{"host", "authorization", "cookie", "set-cookie", "location", "refresh", "link", "cache-control", "date", "server", "vary", "www-authenticate", "retry-after", "range"},
			prefixes: []string{"x-accel-", "content-", "access-control-", "sec-", "if-", "x-http-method", "x-sendfile", "x-auth-reason"},
			why:      "proxies, browsers and backends act on it",
		},
		{
			names:    []string{"x-real-ip", "forwarded", "via", "x-request-id", "x-client-ip", "true-client-ip"},
			prefixes: []string{"x-envoy-", "x-forwarded-", "x-original-"},
			why:      "proxies write it themselves",
		},
	}
}

// headerName is the rule for identity_headers. Letters, digits and dashes only: a name with an
// underscore or a dot is the same variable to many backends as one with a dash, so that a client
// could send the one beside the other.
func headerName(text string) (string, error) {
	bad := text == "" || len(text) > 64 || strings.HasPrefix(text, "-") || strings.HasSuffix(text, "-")
	for _, r := range text {
		bad = bad || !isAlphanumeric(r) && r != '-'
	}
	if bad {
		return "", fmt.Errorf("%s is not usable as a header name; write 1 to 64 letters, digits and dashes, no dash at the ends", quote(text))
	}
	name := strings.ToLower(text)
	for _, refused := range refusedHeaders() {
		for _, n := range refused.names {
			if name == n {
				return "", fmt.Errorf("%s cannot carry an identity: %s; write a name of your own, such as Remote-User", text, refused.why)
			}
		}
		for _, p := range refused.prefixes {
			if strings.HasPrefix(name, p) {
				return "", fmt.Errorf("%s cannot carry an identity: %s; write a name of your own, such as Remote-User", text, refused.why)
			}
		}
	}
	return text, nil
}

// optionalHeader is the rule for a header that need not be there.
func optionalHeader(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	return headerName(text)
}
