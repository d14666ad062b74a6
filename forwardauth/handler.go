package forwardauth

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"devicegate/authz"
	"devicegate/clientaddr"
	"devicegate/problem"
	"devicegate/reason"
)

// Decider decides checks; authz.Authorizer is the one there is.
type Decider interface {
	Decide(ctx context.Context, req authz.Request) authz.Decision
}

var _ Decider = (*authz.Authorizer)(nil)

// locate fills what one family of headers says into req. target is the raw request target.
type locate func(r *http.Request, target string, req *authz.Request)

// endpoints are the check routes. /auth/envoy is the only one with a path of the client behind it.
var endpoints = map[string]struct {
	adapter authz.Adapter
	locate  locate
}{
	"/auth/traefik": {authz.Traefik, traefik},
	"/auth/nginx":   {authz.Nginx, nginx},
	"/auth/caddy":   {authz.Caddy, caddy},
	"/auth/haproxy": {authz.HAProxy, haproxy},
}

const envoyRoute = "/auth/envoy"

// Handler returns the handler of the check listener. Any method is answered alike; what is no check
// route is 404. A panic is refused and handed to panicked, which logs it.
func Handler(decider Decider, panicked func(any)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		adapter, find := route(r.RequestURI)
		if find == nil {
			notFound(w)
			return
		}
		req := authz.Request{Adapter: adapter, RequestID: r.Header.Get("X-Request-Id")}
		defer refusePanic(w, adapter, panicked)
		req.Peer, req.Local = peer(r)
		req.Authorization = r.Header["Authorization"]
		req.ForwardedFor = r.Header["X-Forwarded-For"]
		req.Origin, req.PreflightMethod = r.Header["Origin"], r.Header["Access-Control-Request-Method"]
		find(r, r.RequestURI, &req)
		answer(w, adapter, decider.Decide(r.Context(), req))
	})
}

// route finds the endpoint by the raw target, before any decoding or cleaning.
func route(target string) (authz.Adapter, locate) {
	path, _, _ := strings.Cut(target, "?")
	if e, ok := endpoints[path]; ok {
		return e.adapter, e.locate
	}
	if rest, ok := strings.CutPrefix(path, envoyRoute); ok && (rest == "" || rest[0] == '/') {
		return authz.EnvoyHTTP, envoy
	}
	return 0, nil
}

// peer returns who asks. A unix socket has no address, whatever name its other end took (it may look
// like one); its file's permissions have let the peer in.
func peer(r *http.Request) (addr netip.Addr, local bool) {
	if isUnix(r) {
		return netip.Addr{}, true
	}
	return clientaddr.OfConn(r.RemoteAddr), false
}

func refusePanic(w http.ResponseWriter, adapter authz.Adapter, panicked func(any)) {
	if p := recover(); p != nil {
		answer(w, adapter, authz.Decision{})
		panicked(p)
	}
}

func notFound(w http.ResponseWriter) {
	p := problem.New(http.StatusNotFound, "not_found", "There is no such check endpoint. The gate answers under /auth/ and a proxy's name.")
	writeProblem(w, p)
}

// answer writes a decision in the adapter's terms.
func answer(w http.ResponseWriter, adapter authz.Adapter, d authz.Decision) {
	h := w.Header()
	h["Cache-Control"] = noStore
	status := adapter.Status(d.Outcome())
	if d.Outcome() == reason.Allow && status == http.StatusOK {
		allow(h, adapter, d.Identity)
		w.WriteHeader(http.StatusOK)
		return
	}
	h["X-Auth-Reason"] = []string{d.Reason.String()}
	if c := d.Challenge(); c != "" {
		h["Www-Authenticate"] = []string{c}
	}
	if status == http.StatusServiceUnavailable {
		h["Retry-After"] = retryAfter
	}
	writeProblem(w, problem.OfReason(status, d.Reason))
}

var (
	noStore    = []string{"no-store"}
	retryAfter = []string{"1"}
	noBody     = []string{"0"}
)

// allow sets the identity. What is to be removed is simply not in the answer: every proxy but Envoy takes
// a listed header that the answer lacks away from the request; Envoy wants to be told.
func allow(h http.Header, adapter authz.Adapter, id authz.Identity) {
	h["Content-Length"] = noBody // net/http leaves it out when it is asked with HEAD
	for _, set := range id.Set {
		h[http.CanonicalHeaderKey(set.Name)] = []string{set.Value}
	}
	if adapter == authz.EnvoyHTTP && len(id.Remove) > 0 {
		h["X-Envoy-Auth-Headers-To-Remove"] = []string{strings.Join(id.Remove, ",")}
	}
}

func writeProblem(w http.ResponseWriter, p problem.Problem) {
	w.Header()["Cache-Control"] = noStore
	w.Header()["Content-Type"] = []string{problem.ContentType}
	w.WriteHeader(p.Status)
	_, _ = w.Write(p.JSON()) // a client that is gone needs no answer
}
