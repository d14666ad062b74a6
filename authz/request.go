package authz

import "net/netip"

// Request is what an adapter located, raw. Its zero value is refused.
type Request struct {
	Adapter Adapter

	// Peer is who asks: the TCP peer of the check. Local says that it came over a unix socket instead,
	// whose file permissions have let it in.
	Peer  netip.Addr
	Local bool

	// Complete says that everything the adapter's endpoint reads was there, once.
	Complete bool
	// Policy is the policy that the proxy's configuration names; empty for one that cannot be read.
	Policy string
	// Authorization holds every value of the header, in order.
	Authorization []string

	// Source and ForwardedFor are what the client's address is found by: for the policies that name networks or
	// countries, and for the log.

	Source       netip.Addr // the proxy's own peer, where the adapter is told (gRPC)
	ForwardedFor []string   // every line of X-Forwarded-For

	// Method is the client's, as the proxy says. It is for the log, and, with every value of Origin and
	// Access-Control-Request-Method, for the policies that let CORS preflights pass.
	Method          string
	Origin          []string
	PreflightMethod []string

	// Host is what the client asks for, in its own word. It is for the log, and for the assertion, which names it.
	Host string

	// What follows is for the log, never for the decision.

	Path      string // as the client sent it, with or without the query
	RequestID string
}

// Header is one header of an answer.
type Header struct{ Name, Value string }

// Identity is what the backend is told of who passed.
type Identity struct {
	// Set are the headers to set, in this order, each overwriting what the client sent.
	Set []Header
	// Remove are the headers to take away from the client's request.
	Remove []string
}
