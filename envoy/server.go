package envoy

import (
	"context"
	"net"
	"net/netip"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"devicegate/authz"
	"devicegate/clientaddr"
)

// ServiceName is the name under which gRPC health answers for checks.
var ServiceName = authv3.Authorization_ServiceDesc.ServiceName

// Decider decides checks; authz.Authorizer is the one there is.
type Decider interface {
	Decide(ctx context.Context, req authz.Request) authz.Decision
}

var _ Decider = (*authz.Authorizer)(nil)

// server is the Authorization service.
type server struct {
	authv3.UnimplementedAuthorizationServer
	decider       Decider
	defaultPolicy func() string
	panicked      func(any)
}

var _ authv3.AuthorizationServer = (*server)(nil)

// Options are what a service of checks needs.
type Options struct {
	Decider Decider
	// DefaultPolicy returns the policy of a check that names none (Istio cannot name one).
	DefaultPolicy func() string
	// Panicked is told of a panic, which is refused.
	Panicked func(any)
	// Refused is told why a message was not read. It is called for each, so it must not say each.
	Refused func(why error)
}

// Register adds the Authorization service to s. The returned calls want to Run for as long as s serves.
func Register(s grpc.ServiceRegistrar, o Options) *Calls {
	calls := newCalls(o.Refused)
	s.RegisterService(calls.guarded(authv3.Authorization_ServiceDesc, nil),
		&server{decider: o.Decider, defaultPolicy: o.DefaultPolicy, panicked: o.Panicked})
	return calls
}

// RegisterHealth adds gRPC's service of health to s, within the same bounds.
func (all *Calls) RegisterHealth(s grpc.ServiceRegistrar, health healthpb.HealthServer) {
	s.RegisterService(all.guarded(healthpb.Health_ServiceDesc, errUnreadable), health)
}

var errUnreadable = status.Error(codes.InvalidArgument, "the message cannot be read")

// Check answers one request. It never returns an error.
func (s *server) Check(ctx context.Context, check *authv3.CheckRequest) (response *authv3.CheckResponse, _ error) {
	defer func() {
		if p := recover(); p != nil {
			response = toResponse(authz.Decision{})
			s.panicked(p)
		}
	}()
	req := toRequest(check, s.defaultPolicy())
	if p, ok := peer.FromContext(ctx); ok {
		req.Peer, req.Local = caller(p.Addr)
	}
	return toResponse(s.decider.Decide(ctx, req)), nil
}

// caller returns who asks. A unix socket has no address, whatever name its other end took (it may look
// like one); its file's permissions have let the peer in.
func caller(addr net.Addr) (ip netip.Addr, local bool) {
	if tcp, ok := addr.(*net.TCPAddr); ok { // as good as always, and cheaper than its text
		return tcp.AddrPort().Addr().Unmap(), false
	}
	if addr.Network() == "unix" {
		return netip.Addr{}, true
	}
	return clientaddr.OfConn(addr.String()), false
}
