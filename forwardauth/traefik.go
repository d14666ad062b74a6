package forwardauth

import (
	"net/http"

	"devicegate/authz"
)

// traefik reads what Traefik's ForwardAuth middleware sends: X-Forwarded-Method, -Proto, -Host, -Uri and
// -For. Traefik does not manage X-Original-*, which is the client's and is not read.
func traefik(r *http.Request, target string, req *authz.Request) { forwarded(r, target, req) }
