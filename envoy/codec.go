package envoy

import (
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped here
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's own protobuf codec, but for one thing: a CheckRequest that cannot be read becomes an
// empty one, which is refused as incomplete. gRPC itself would answer such bytes (a string that is not
// UTF-8 is enough) with an error, and an error is what failure_mode_allow turns into "allow"
// (CVE-2024-23324, CVE-2023-27488).
type Codec struct{ encoding.CodecV2 }

// NewCodec returns the codec for the check server.
func NewCodec() Codec { return Codec{encoding.GetCodecV2("proto")} }

// Unmarshal reads data into v. It fails for everything but a CheckRequest.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	err := c.CodecV2.Unmarshal(data, v)
	if check, ok := v.(*authv3.CheckRequest); ok && err != nil {
		proto.Reset(check)
		return nil
	}
	return err
}
