package forwardauth

import (
	"net/http"
	"strings"

	"devicegate/authz"
)

// nginx reads what an auth_request location and ingress-nginx send: X-Original-Method, X-Original-URL and
// X-Forwarded-For. X-Forwarded-Uri, -Method and -Host are the client's there and are not read.
func nginx(r *http.Request, target string, req *authz.Request) {
	method, hasMethod := once(r.Header, "X-Original-Method")
	full, hasURL := once(r.Header, "X-Original-Url")
	req.Complete = hasMethod && hasURL
	req.Method = method
	req.Host, req.Path = splitURL(full)
	req.Policy = policyOf(target)
}

// splitURL cuts scheme://host/path for the log and for the assertion. It is no URL parser on purpose: there is no input
// that it refuses, and nothing is decided by what it finds.
func splitURL(full string) (host, path string) {
	_, rest, found := strings.Cut(full, "://")
	if !found {
		return "", full
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		return rest[:i], rest[i:]
	}
	return rest, "/"
}
