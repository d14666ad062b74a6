package forwardauth

import (
	"net/http"
	"strings"

	"devicegate/authz"
)

// envoy reads the request itself: Envoy's HTTP mode asks with the client's method and host, and puts
// path_prefix before the client's raw path and query. The policy is what stands between /auth/envoy/ and
// the next slash or question mark of the raw target; all behind it is the client's, and so is the query,
// so neither can choose a policy.
func envoy(r *http.Request, target string, req *authz.Request) {
	rest := strings.TrimPrefix(strings.TrimPrefix(target, envoyRoute), "/")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	req.Policy, req.Path = rest[:end], rest[end:]
	req.Method, req.Host = r.Method, r.Host
	req.Complete = r.Method != "" && r.Host != ""
}
