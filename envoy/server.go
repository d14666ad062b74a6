package envoy

import (
	"context"
	"net"
	"net/netip"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

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

// Register adds the Authorization service to s. defaultPolicy returns the policy of a check that names none
// (Istio cannot name one). A panic is refused and handed to panicked, which logs it.
func Register(s grpc.ServiceRegistrar, decider Decider, defaultPolicy func() string, panicked func(any)) {
	authv3.RegisterAuthorizationServer(s, &server{decider: decider, defaultPolicy: defaultPolicy, panicked: panicked})
}

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
