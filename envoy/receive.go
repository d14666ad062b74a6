package envoy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	// maxMessage bounds one message. Envoy sends the head of a request, path and Host twice: 60 KiB unless it was told
	// otherwise. What is larger carries a body (with_request_body), which the gate has no use for. The bound is low
	// because a message can decode to 50 times its size.
	maxMessage = 1 << 20
	// largeMessage is what waits for its turn to be decoded.
	largeMessage = 16 << 10
	// piece is how much is read at a time: a client that sends single bytes has each hold a buffer until the piece is
	// whole.
	piece = 256
)

// transport is what gRPC's stream offers on the server below grpc.ServerStream. RecvMsg is not used because it answers
// with an error what it does not read, and opens the window for a message of any size before anybody is asked.
type transport interface {
	ReadMessageHeader(header []byte) error
	Read(n int) (mem.BufferSlice, error)
	WriteStatus(*status.Status) error
	HeaderWireLength() int
}

// Why a message is not read.
var (
	errLate     = errors.New("it did not come whole in time, or before newer calls needed its room")
	errPacked   = errors.New("it is compressed, which nothing has been agreed on")
	errMore     = errors.New("there is more than one message")
	errCut      = errors.New("it was cut off")
	errNoStream = status.Error(codes.Internal, "this build of gRPC gives no access to its streams")
)

// guarded returns desc with methods that are read within the bounds of all. What cannot be read gets unreadable for
// an error; nil: it is read as an empty message.
func (all *Calls) guarded(desc grpc.ServiceDesc, unreadable error) *grpc.ServiceDesc {
	streams := desc.Streams
	for _, m := range desc.Methods {
		streams = append(streams[:len(streams):len(streams)], grpc.StreamDesc{
			StreamName: m.MethodName, ClientStreams: true, Handler: func(srv any, stream grpc.ServerStream) error {
				return all.serve(stream, func(data []byte, why error) (proto.Message, error) {
					response, err := m.Handler(srv, stream.Context(), reader(data, why, unreadable), nil)
					message, _ := response.(proto.Message)
					return message, err
				})
			},
		})
	}
	desc.Methods, desc.Streams = nil, streams
	return &desc
}

// reader returns what gives a method its message.
func reader(data []byte, why, unreadable error) func(v any) error {
	return func(v any) error {
		if why != nil {
			return unreadable
		}
		if proto.Unmarshal(data, v.(proto.Message)) != nil {
			proto.Reset(v.(proto.Message))
			return unreadable
		}
		return nil
	}
}

// serve reads one message and answers it.
func (all *Calls) serve(stream grpc.ServerStream, handle func(data []byte, why error) (proto.Message, error)) error {
	in, ok := grpc.ServerTransportStreamFromContext(stream.Context()).(transport)
	if !ok {
		return errNoStream
	}
	c := &call{all: all, stream: stream, conn: connOf(stream.Context()), in: in, refusal: func(why error) (proto.Message, error) { return handle(nil, why) }}
	all.begin(c)
	data, ended, why := c.receive()
	if len(data) > largeMessage && why == nil {
		select {
		case all.large <- struct{}{}:
			defer func() { <-all.large }()
		case <-stream.Context().Done():
			why = errLate
		}
	}
	if !c.take() {
		<-stream.Context().Done() // whoever answers it ends it: an end without an answer is an error
		return nil
	}
	if stream.Context().Err() != nil { // whoever asked does not wait any more
		return status.FromContextError(stream.Context().Err()).Err()
	}
	if why != nil {
		all.refused(why)
	}
	message, err := handle(data, why)
	if err != nil {
		return err
	}
	c.departs(ended)
	return c.send(message, nil)
}

// receive reads the message of c. ended says that the client has ended the call.
func (c *call) receive() (data []byte, ended bool, why error) {
	var head [5]byte
	if err := c.in.ReadMessageHeader(head[:]); err != nil {
		return nil, errors.Is(err, io.EOF), errCut
	}
	length := binary.BigEndian.Uint32(head[1:])
	switch {
	case head[0] != 0:
		return nil, false, errPacked
	case length > maxMessage:
		return nil, false, fmt.Errorf("it has %d bytes, %d are read: the gate has no use for with_request_body", length, maxMessage)
	case !c.grow(int(length)):
		return nil, false, errLate
	}
	data = make([]byte, 0, length)
	for len(data) < int(length) {
		part, err := c.in.Read(min(piece, int(length)-len(data)))
		if err != nil {
			return nil, errors.Is(err, io.EOF), errCut
		}
		for _, b := range part {
			data = append(data, b.ReadOnlyData()...)
		}
		part.Free()
	}
	// Until the client has ended its call it can fill its window.
	more, err := c.in.Read(1)
	if err == nil {
		more.Free()
		return nil, false, errMore
	}
	return data, true, nil
}

// send sends the answer of a call that leaves, or the error in its place.
func (c *call) send(message proto.Message, err error) error {
	if err == nil {
		err = c.stream.SendMsg(answer{message: message, call: c})
	}
	// An error has no bytes that could wait, and ends the stream. And gRPC drops the answer to a call that was cancelled
	// right before, without giving its bytes back: it would pass for one that is not taken, whose price is the
	// connection. What is cancelled from now on is given back.
	if err != nil || c.stream.Context().Err() != nil {
		c.gone()
	}
	return err
}
