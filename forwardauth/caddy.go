package forwardauth

import (
	"net/http"

	"devicegate/authz"
)

// caddy reads what Caddy's forward_auth sends: the X-Forwarded- family.
func caddy(r *http.Request, target string, req *authz.Request) { forwarded(r, target, req) }
