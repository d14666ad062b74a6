package envoy_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/peer"

	"devicegate/authz/authztest"
	"devicegate/envoy"
)

// serve starts a check server as the service does and returns a connection to it.
func serve(t testing.TB, d envoy.Decider, panicked func(any)) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	start(t, l, d, panicked)
	return dial(t, l.Addr().String())
}

func start(t testing.TB, l net.Listener, d envoy.Decider, panicked func(any)) {
	t.Helper()
	if panicked == nil {
		panicked = func(p any) { t.Errorf("a check panicked: %v", p) }
	}
	server := grpc.NewServer(grpc.Creds(envoy.Credentials(insecure.NewCredentials())), grpc.ForceServerCodecV2(envoy.NewCodec()), grpc.NumStreamWorkers(4), grpc.MaxHeaderListSize(64<<10))
	calls := envoy.Register(server, envoy.Options{
		Decider: d, DefaultPolicy: func() string { return "default" }, Panicked: panicked, Refused: func(error) {},
	})
	status := health.NewServer()
	status.SetServingStatus(envoy.ServiceName, healthpb.HealthCheckResponse_SERVING)
	calls.RegisterHealth(server, status)
	go server.Serve(l)
	t.Cleanup(server.Stop)
}

func dial(t testing.TB, target string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// form is how Envoy writes the client's headers.
type form int

const (
	asMap   form = iota // headers: values of one name joined by a comma
	asRaw               // header_map with raw_value, as encode_raw_headers does
	asValue             // header_map with value
)

// write puts headers, given as name and value in turn, into a request.
func (f form) write(r *authv3.AttributeContext_HttpRequest, pairs ...string) {
	if f == asMap {
		r.Headers = map[string]string{}
	} else {
		r.HeaderMap = &corev3.HeaderMap{}
	}
	for i := 0; i < len(pairs); i += 2 {
		name, value := pairs[i], pairs[i+1]
		switch f {
		case asMap:
			if before, ok := r.Headers[name]; ok {
				value = before + "," + value
			}
			r.Headers[name] = value
		case asRaw:
			r.HeaderMap.Headers = append(r.HeaderMap.Headers, &corev3.HeaderValue{Key: name, RawValue: []byte(value)})
		case asValue:
			r.HeaderMap.Headers = append(r.HeaderMap.Headers, &corev3.HeaderValue{Key: name, Value: value})
		}
	}
}

// request writes a question as Envoy does.
func (f form) request(q authztest.Question) *authv3.CheckRequest {
	r := &authv3.AttributeContext_HttpRequest{Id: "id-canary", Method: q.Method, Host: q.Host, Path: q.Path, Scheme: "https", Protocol: "HTTP/1.1", Size: -1}
	pairs := []string{":method", q.Method, ":path", q.Path, ":authority", q.Host, "remote-user", "evil-canary", "remote-groups", "admin-canary"}
	for _, v := range q.Authorization {
		pairs = append(pairs, "authorization", v)
	}
	for _, v := range q.Origin {
		pairs = append(pairs, "origin", v)
	}
	for _, v := range q.Preflight {
		pairs = append(pairs, "access-control-request-method", v)
	}
	for _, v := range q.ForwardedFor {
		pairs = append(pairs, "x-forwarded-for", v)
	}
	f.write(r, pairs...)
	peer := "203.0.113.9"
	if q.Policy != "" { // a hop of ours, behind which the question says where its client is
		peer = "127.0.0.1"
	}
	check := &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source:  &authv3.AttributeContext_Peer{Address: socket(peer)},
		Request: &authv3.AttributeContext_Request{Http: r},
	}}
	if q.Policy != "" {
		check.Attributes.ContextExtensions = map[string]string{"policy": q.Policy}
	}
	if q.Incomplete {
		r.Path = ""
	}
	return check
}

func socket(ip string) *corev3.Address {
	return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
		Address: ip, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 4711},
	}}}
}

func mustCheck(t testing.TB, conn *grpc.ClientConn, check *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	response, err := authv3.NewAuthorizationClient(conn).Check(t.Context(), check)
	if err != nil {
		t.Fatalf("a gRPC error, which failure_mode_allow lets pass: %v", err)
	}
	return response
}

// read turns a response into an answer, and holds it to the rules that keep Envoy from misreading it.
func read(t testing.TB, response *authv3.CheckResponse) authztest.Answer {
	t.Helper()
	if response.GetStatus() == nil {
		t.Fatal("a response without a status, which Envoy takes for an allow")
	}
	if response.GetErrorResponse() != nil {
		t.Fatal("an error_response, which failure_mode_allow lets pass")
	}
	a := authztest.Answer{Header: http.Header{}}
	code := codes.Code(response.GetStatus().GetCode())
	if ok := response.GetOkResponse(); ok != nil {
		if code != codes.OK {
			t.Errorf("an ok_response with the status %v", code)
		}
		a.Status, a.Remove = http.StatusOK, ok.GetHeadersToRemove()
		readHeaders(t, &a, ok.GetHeaders())
		return a
	}
	denied := response.GetDeniedResponse()
	if denied == nil {
		t.Fatal("neither ok_response nor denied_response")
	}
	a.Status, a.Body = int(denied.GetStatus().GetCode()), denied.GetBody()
	want := map[int]codes.Code{401: codes.Unauthenticated, 403: codes.PermissionDenied, 503: codes.Unavailable}[a.Status]
	if code != want || code == codes.OK {
		t.Errorf("status %v beside a denied_response of %d, want %v", code, a.Status, want)
	}
	readHeaders(t, &a, denied.GetHeaders())
	return a
}

func readHeaders(t testing.TB, a *authztest.Answer, options []*corev3.HeaderValueOption) {
	t.Helper()
	for _, o := range options {
		if o.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD || o.GetAppend() != nil { //nolint:staticcheck // deprecated, and all that Envoy 1.40 reads
			t.Errorf("%s is not plainly overwritten: %v", o.GetHeader().GetKey(), o)
		}
		if len(o.GetHeader().GetRawValue()) > 0 || o.GetHeader().GetValue() == "" {
			t.Errorf("%s is raw or empty: %v", o.GetHeader().GetKey(), o)
		}
		name := http.CanonicalHeaderKey(o.GetHeader().GetKey())
		a.Header[name] = append(a.Header[name], o.GetHeader().GetValue())
		a.Size += len(name) + len(o.GetHeader().GetValue()) + len(": \r\n")
	}
	for _, remove := range a.Remove {
		if _, set := a.Header[remove]; set || strings.TrimSpace(remove) == "" {
			t.Errorf("%q is set and removed, or nothing", remove)
		}
		a.Size += len(remove)
	}
}

// fromLoopback is the context of a call from this machine.
func fromLoopback(ctx context.Context) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}})
}
