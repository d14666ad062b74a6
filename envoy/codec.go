package envoy

import (
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that is wrapped here
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// Codec is gRPC's own protobuf codec, but for one thing: it says when an answer to a check has been written, for
// until then the call still holds memory.
type Codec struct{ encoding.CodecV2 }

// NewCodec returns the codec for the check server.
func NewCodec() Codec { return Codec{encoding.GetCodecV2("proto")} }

// Marshal writes v. An answer's bytes end its call when gRPC gives them back.
func (c Codec) Marshal(v any) (mem.BufferSlice, error) {
	a, ok := v.(answer)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data := make([]byte, 0, max(proto.Size(a.message), leastReturned))
	data, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(data, a.message)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(&data, a)}, nil
}

// leastReturned is the size from which gRPC gives a buffer back when it is done with it.
const leastReturned = 1<<10 + 1

// answer is the answer of one call on its way.
type answer struct {
	message proto.Message
	call    *call
}

var _ mem.BufferPool = answer{}

// Get makes a buffer. Nothing asks for one: this is a pool only to hear of Put.
func (answer) Get(length int) *[]byte {
	data := make([]byte, length)
	return &data
}

// Put says that the answer has been written, or never will be.
func (a answer) Put(*[]byte) { a.call.gone() }
