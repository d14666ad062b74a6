package main

import (
	"context"
	"errors"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that answers are read with
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// grpcCaller asks over a connection that it may share with others.
type grpcCaller struct {
	conn   *grpc.ClientConn
	bodies map[string][]byte // the marshalled request of every device, by uid; read only
}

var _ caller = grpcCaller{}

func (c grpcCaller) check(ctx context.Context, d device) (bool, error) {
	var answer authv3.CheckResponse
	if err := c.conn.Invoke(ctx, authv3.Authorization_Check_FullMethodName, c.bodies[d.UID], &answer); err != nil {
		return false, err
	}
	return answer.GetStatus() != nil && answer.GetStatus().GetCode() == 0 && answer.GetOkResponse() != nil, nil
}

// dialGRPC opens conns connections with streams callers each. hangUp closes them.
func dialGRPC(address string, conns, streams int, bodies map[string][]byte) (callers []caller, hangUp func(), err error) {
	var open []*grpc.ClientConn
	hangUp = func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
	for range conns {
		c, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(readyCodec{encoding.GetCodecV2("proto")})))
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		open = append(open, c)
		for range streams {
			callers = append(callers, grpcCaller{conn: c, bodies: bodies})
		}
	}
	return callers, hangUp, nil
}

// readyCodec sends requests that are marshalled already: the client should not cost more than the server
// that it measures.
type readyCodec struct{ encoding.CodecV2 }

func (readyCodec) Marshal(v any) (mem.BufferSlice, error) {
	body, ok := v.([]byte)
	if !ok {
		return nil, errors.New("not a marshalled request")
	}
	return mem.BufferSlice{mem.SliceBuffer(body)}, nil
}

// checkBodies marshals the request of every device: about 1 KB with a dozen headers, as Envoy sends it.
func checkBodies(devices []device) (map[string][]byte, error) {
	bodies := make(map[string][]byte, len(devices))
	for _, d := range devices {
		body, err := proto.Marshal(checkRequest(d))
		if err != nil {
			return nil, err
		}
		bodies[d.UID] = body
	}
	return bodies, nil
}

func checkRequest(d device) *authv3.CheckRequest {
	headers := map[string]string{
		":authority": host, ":method": "GET", ":path": path, ":scheme": "https",
		"authorization": "Bearer " + d.Token, "x-forwarded-for": client, "x-forwarded-proto": "https",
		"x-request-id": requestID, "user-agent": userAgent, "accept": "application/json",
		"accept-encoding": "gzip, deflate, br", "accept-language": "en-GB,en;q=0.9",
	}
	peer := &authv3.AttributeContext_Peer{Address: &corev3.Address{Address: &corev3.Address_SocketAddress{
		SocketAddress: &corev3.SocketAddress{Address: client, PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 40000}},
	}}}
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: peer,
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: requestID, Method: "GET", Headers: headers, Path: path, Host: host, Scheme: "https", Protocol: "HTTP/2",
		}},
	}}
}
