package authz

import "devicegate/reason"

// Adapter is how a proxy asks. The zero Adapter is none and its answers are refusals.
type Adapter uint8

// The adapters, named as their routes are.
const (
	_ Adapter = iota
	Traefik
	Nginx
	EnvoyHTTP
	EnvoyGRPC
	Caddy
	HAProxy
	adapters // not an adapter: the length of the list
)

var adapterWords = [adapters]string{
	0: "unknown", Traefik: "traefik", Nginx: "nginx", EnvoyHTTP: "envoy_http", EnvoyGRPC: "envoy_grpc", Caddy: "caddy", HAProxy: "haproxy",
}

// Adapters returns all adapters. The caller owns the slice.
func Adapters() []Adapter { return []Adapter{Traefik, Nginx, EnvoyHTTP, EnvoyGRPC, Caddy, HAProxy} }

// String returns the adapter's word in logs and metrics.
func (a Adapter) String() string {
	if a < adapters {
		return adapterWords[a]
	}
	return adapterWords[0]
}

func (a Adapter) known() bool { return a != 0 && a < adapters }

// Status is how an outcome is written for the adapter's proxy, as an HTTP status.
//
// Unavailable is 503 but for Envoy over HTTP, which with failure_mode_allow lets a 5xx pass and refuses a
// 403 (measured on 1.40.0); over gRPC the 503 goes into a denied_response, which it refuses as well.
func (a Adapter) Status(o reason.Outcome) int {
	switch o {
	case reason.Allow:
		if !a.known() {
			return 403
		}
		return 200
	case reason.Unauthenticated:
		return 401
	case reason.Unavailable:
		if a == EnvoyHTTP {
			return 403
		}
		return 503
	default:
		return 403
	}
}
