package envoy_test

import (
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/envoy"
)

// service is the service of checks below gRPC, in a bubble of synctest: a test is the client, and sees what gRPC would
// be told to do.
type service struct {
	*envoy.Calls
	method grpc.StreamDesc
	server any
	hold   chan struct{} // not nil: decisions wait for it

	mu      sync.Mutex // for those who write. It is read when nothing moves
	refused []error    // of the calls that were not read
	decided int
}

// bubble runs a test with a service whose calls are watched over.
func bubble(t *testing.T, run func(t *testing.T, s *service)) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		s.Calls = envoy.Register(s, envoy.Options{
			Decider: s, DefaultPolicy: func() string { return "default" }, Panicked: func(p any) { t.Errorf("a check panicked: %v", p) },
			Refused: s.refuse,
		})
		ctx, stop := context.WithCancel(t.Context())
		go s.Run(ctx)
		defer synctest.Wait()
		defer stop()
		run(t, s)
	})
}

// RegisterService takes what gRPC would be given: the method Check of either service.
func (s *service) RegisterService(desc *grpc.ServiceDesc, server any) {
	at := slices.IndexFunc(desc.Streams, func(m grpc.StreamDesc) bool { return m.StreamName == "Check" })
	s.method, s.server = desc.Streams[at], server
}

// Decide refuses everything: what matters is whether anybody asks.
func (s *service) Decide(ctx context.Context, req authz.Request) authz.Decision {
	if s.hold != nil && req.Complete {
		select {
		case <-s.hold:
		case <-ctx.Done():
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.decided++
	return authz.Decision{}
}

func (s *service) refuse(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, why)
}

// line is a connection.
type line struct {
	net.Conn
	info   credentials.AuthInfo
	closed bool
}

// Close implements net.Conn. Nobody waits for it.
func (l *line) Close() error {
	l.closed = true
	return nil
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{}
	var err error
	if _, l.info, err = envoy.Credentials(insecure.NewCredentials()).ServerHandshake(l); err != nil {
		t.Fatal(err)
	}
	return l
}

// caller is a call as a client has made it, below gRPC.
type caller struct {
	grpc.ServerStream
	ctx    context.Context
	cancel context.CancelFunc

	coming chan []byte // closed: the client has ended the call
	here   []byte
	most   int // that was read at once
	head   int // what the headers took on the wire

	answer  mem.BufferSlice // not taken yet
	answers int
	dropped bool          // gRPC drops the answer, because the call was cancelled right before
	fails   error         // of an answer that is sent
	slow    chan struct{} // not nil: sending waits for it
	status  *status.Status
	ended   error
	over    bool // the handler has returned
}

// call begins a call over a connection. It is the youngest then.
func (s *service) call(t *testing.T, on *line) *caller { return s.callWith(t, on, &caller{}) }

func (s *service) callWith(t *testing.T, on *line, c *caller) *caller {
	t.Helper()
	c.coming = make(chan []byte, 4096)
	ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, AuthInfo: on.info})
	ctx, c.cancel = context.WithCancel(ctx)
	t.Cleanup(c.cancel)
	c.ctx = grpc.NewContextWithServerTransportStream(ctx, transport{c})
	go func() {
		c.ended = s.method.Handler(s.server, c)
		c.over = true
	}()
	synctest.Wait()
	return c
}

// Context implements grpc.ServerStream.
func (c *caller) Context() context.Context { return c.ctx }

// SendMsg implements grpc.ServerStream.
func (c *caller) SendMsg(m any) error {
	data, err := envoy.NewCodec().Marshal(m)
	if err != nil || c.fails != nil {
		return cmp.Or(err, c.fails)
	}
	if c.slow != nil {
		<-c.slow
	}
	c.answers++
	if c.answer = data; c.dropped {
		c.answer = nil
		c.cancel()
	}
	return nil
}

// take is that the client has taken the answer, which is a refusal.
func (c *caller) take(t *testing.T) {
	t.Helper()
	synctest.Wait()
	if c.answers != 1 || c.answer == nil {
		t.Fatalf("the call has %d answers", c.answers)
	}
	got := new(authv3.CheckResponse)
	if err := proto.Unmarshal(c.answer.Materialize(), got); err != nil || got.GetDeniedResponse() == nil {
		t.Fatalf("answered %v, %v", got, err)
	}
	c.answer.Free()
	c.answer = nil
}

// message sends so much of a message that is so long, and ends the call where that is all.
func (c *caller) message(sent, length int) {
	head := binary.BigEndian.AppendUint32([]byte{0}, uint32(length))
	c.coming <- append(head, make([]byte, sent)...)
	if sent == length {
		close(c.coming)
	}
}

// check sends a whole check, padded to a length with a field that nobody knows.
func (c *caller) check(t *testing.T, length int) {
	t.Helper()
	body, err := proto.Marshal(asMap.request(authztest.Question{}.Filled()))
	if err != nil {
		t.Fatal(err)
	}
	if more := length - len(body) - 5; more > 0 {
		body = append(body, 0x82, 0x7d, byte(more)|0x80, byte(more>>7)|0x80, byte(more>>14)&0x7f)
		body = append(body, make([]byte, more)...)
	}
	c.coming <- append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body))), body...)
	close(c.coming)
}

// transport is what gRPC has below a stream.
type transport struct{ *caller }

func (transport) Method() string               { return "" }
func (transport) SetHeader(metadata.MD) error  { return nil }
func (transport) SendHeader(metadata.MD) error { return nil }
func (transport) SetTrailer(metadata.MD) error { return nil }
func (c transport) HeaderWireLength() int      { return c.head }
func (c transport) WriteStatus(end *status.Status) error {
	c.status = end
	c.cancel()
	return nil
}

// ReadMessageHeader implements what envoy asks of a transport.
func (c transport) ReadMessageHeader(head []byte) error {
	data, err := c.read(len(head))
	copy(head, data)
	return err
}

// Read does as well.
func (c transport) Read(n int) (mem.BufferSlice, error) {
	c.most = max(c.most, n)
	data, err := c.read(n)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{mem.SliceBuffer(data)}, nil
}

func (c transport) read(n int) ([]byte, error) {
	for len(c.here) < n {
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case more, open := <-c.coming:
			if !open && len(c.here) > 0 {
				return nil, io.ErrUnexpectedEOF
			} else if !open {
				return nil, io.EOF
			}
			c.here = append(c.here, more...)
		}
	}
	data := c.here[:n:n]
	c.here = c.here[n:]
	return data, nil
}

// holds demands what calls hold altogether.
func (s *service) holds(t *testing.T, reading, leaving int) {
	t.Helper()
	synctest.Wait()
	if r, l := s.Held(); r != reading || l != leaving {
		t.Fatalf("calls that are not whole hold %d, want %d; those that leave hold %d, want %d", r, reading, l, leaving)
	}
}

// pass lets so much time go by in the bubble, where nobody waits for it.
func pass(d time.Duration) { <-time.After(d) }
