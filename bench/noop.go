package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"

	"devicegate/token"
)

// noopWord as first argument turns this program into one of the servers that do nothing: noop grpc, noop
// http. They are processes of their own, as the gate is, so that all pay alike for the way between.
const noopWord = "noop"

func noopKind(args []string) (kind string, ok bool) {
	if len(args) == 3 && args[1] == noopWord {
		return args[2], true
	}
	return "", false
}

// serveNoop prints its address and serves until stdin ends, which happens when its parent does, however
// that ends.
func serveNoop(kind string, stdin io.Reader, stdout io.Writer) error {
	// As much memory as the gate keeps verified tokens in: with a heap of nothing the collector would run ten
	// times as often, and the comparison would be with that.
	ballast := make([]byte, token.DefaultCacheBytes)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	switch kind {
	case "grpc":
		server := grpc.NewServer()
		authv3.RegisterAuthorizationServer(server, noopGRPC{})
		go func() { _ = server.Serve(l) }()
	case "http":
		server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(noopHTTP)}
		go func() { _ = server.Serve(l) }()
	default:
		return fmt.Errorf("there is no server %q that does nothing", kind)
	}
	fmt.Fprintln(stdout, l.Addr())
	_, _ = io.Copy(io.Discard, stdin)
	runtime.KeepAlive(ballast)
	return nil
}

type noopGRPC struct {
	authv3.UnimplementedAuthorizationServer
}

func (noopGRPC) Check(context.Context, *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	return &authv3.CheckResponse{
		Status:       &status.Status{},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}},
	}, nil
}

func noopHTTP(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }
