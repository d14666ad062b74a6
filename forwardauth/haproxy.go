package forwardauth

import (
	"net/http"

	"devicegate/authz"
)

// haproxy reads the X-Forwarded- family, which HAProxy's configuration sets before it asks.
func haproxy(r *http.Request, target string, req *authz.Request) { forwarded(r, target, req) }
