package abuse_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec whose name the raw one goes by
	"google.golang.org/grpc/mem"
)

// asker asks one check in one way: with a token, or with none where it is empty.
type asker func(token string) (allow bool, err error)

// overHTTP asks as Traefik does, over a connection that is kept or over a new one each time.
func (g *gate) overHTTP(kept bool) asker {
	client := g.client("checks.http", kept)
	return func(token string) (bool, error) {
		r, err := http.NewRequest("GET", "http://gate.example/auth/traefik", http.NoBody)
		if err != nil {
			return false, err
		}
		for name, value := range forwarded {
			r.Header.Set(name, value)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		got, err := do(client, r)
		switch {
		case err != nil:
			return false, err
		case got.status == http.StatusOK && got.header.Get("Remote-User") == "anna":
			return true, nil
		case got.status == http.StatusUnauthorized:
			return false, nil
		}
		return false, fmt.Errorf("answered %d %v %.200s", got.status, got.header, got.body)
	}
}

var forwarded = map[string]string{
	"X-Forwarded-Method": "GET", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example", "X-Forwarded-Uri": "/orders/1", "X-Forwarded-For": "203.0.113.9",
}

// overGRPC asks as Envoy does, over one connection.
func (g *gate) overGRPC(t *testing.T) asker {
	t.Helper()
	secure := insecure.NewCredentials()
	if g.secure != nil {
		secure = credentials.NewTLS(g.secure)
	}
	conn, err := grpc.NewClient("passthrough:///gate.example", grpc.WithTransportCredentials(secure),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return net.Dial("tcp", g.address["checks.grpc"]) }),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{encoding.GetCodecV2("proto")}), grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return func(token string) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var answer []byte
		if err := conn.Invoke(ctx, checkMethod, checkRequest(token), &answer); err != nil {
			return false, err
		}
		allow, readable := allowed(answer)
		if !readable {
			return false, fmt.Errorf("answered %x", answer)
		}
		return allow, nil
	}
}

const checkMethod = "/envoy.service.auth.v3.Authorization/Check"

// rawCodec sends and gives messages as their bytes.
type rawCodec struct{ encoding.CodecV2 }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

// askBoth asks with Anna's token, which passes, and with none, which does not.
func (g *gate) askBoth(ask asker) error {
	switch allow, err := ask(g.anna.Access); {
	case err != nil:
		return fmt.Errorf("a good token: %w", err)
	case !allow:
		return fmt.Errorf("a good token is refused")
	}
	switch allow, err := ask(""); {
	case err != nil:
		return fmt.Errorf("no token: %w", err)
	case allow:
		return fmt.Errorf("a check without a token is allowed")
	}
	return nil
}

// people ask honest checks until they are dismissed.
type people struct {
	stop  chan struct{}
	group sync.WaitGroup
	kinds []*asking
}

// asking is those who ask in one way.
type asking struct {
	name  string
	ask   asker
	count atomic.Int64
	fault atomic.Pointer[error] // the first
}

// honestEvery is how often each kind asks: often enough to see a stall, seldom enough to be no load.
const honestEvery = 10 * time.Millisecond

// gather lets honest checks begin, over what newcomers have too: fresh connections.
func (g *gate) gather(t *testing.T, newcomers bool) *people {
	t.Helper()
	p := &people{stop: make(chan struct{}), kinds: []*asking{{name: "HTTP, kept", ask: g.overHTTP(true)}, {name: "gRPC, kept", ask: g.overGRPC(t)}}}
	if newcomers {
		p.kinds = append(p.kinds, &asking{name: "HTTP, a new connection each", ask: g.overHTTP(false)})
	}
	for _, k := range p.kinds {
		if err := g.askBoth(k.ask); err != nil { // connects, before anything is amiss
			t.Fatalf("%s, before the attack: %v", k.name, err)
		}
		p.group.Go(func() { k.run(g, p.stop) })
	}
	return p
}

func (k *asking) run(g *gate, stop chan struct{}) {
	tick := time.NewTicker(honestEvery)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		if err := g.askBoth(k.ask); err != nil {
			k.fault.CompareAndSwap(nil, &err)
		}
		k.count.Add(1)
	}
}

// leastChecks is how many times each kind must have been answered during an attack.
const leastChecks = 3

// served waits until each kind has been answered since now, so that the attack of this moment is one they met.
func (p *people) served(t *testing.T) {
	t.Helper()
	for _, k := range p.kinds {
		from := k.count.Load()
		eventually(t, k.name+": honest checks are answered", func() bool { return k.count.Load() >= from+leastChecks })
	}
}

// dismiss ends the honest checks and says how they fared.
func (p *people) dismiss(t *testing.T) (count int64) {
	t.Helper()
	close(p.stop)
	p.group.Wait()
	for _, k := range p.kinds {
		if err := k.fault.Load(); err != nil {
			t.Errorf("%s, beside the attack: %v", k.name, *err)
		}
		count += 2 * k.count.Load()
	}
	return count
}
