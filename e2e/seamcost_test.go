package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	rpc "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
)

var cost = flag.Duration("cost", 0, "how long TestAliasCost measures each way, three times; 0 compares what they let through only")

// aliases are the names that a backend may read as one of the identity headers: 14 for each.
func aliases() []string {
	var all []string
	for _, name := range []string{"user", "groups", "device"} {
		for _, c := range odd {
			all = append(all, "remote"+string(c)+name)
		}
	}
	return all
}

// TestAliasCost compares the two ways in which Envoy can be kept from passing aliases on: the filter
// of the example, which removes every odd name before the check, and an allow that lists all of them
// for removal. Both let none through. With -cost it measures requests a second besides.
func TestAliasCost(t *testing.T) {
	t.Parallel()
	for _, p := range products {
		if p.program != "envoy" {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			needProgram(t, p.program)
			ways := aliasWays(t, p)
			for _, w := range ways {
				if got := w.passed(t); w.lets != (len(got) > 0) {
					t.Errorf("%s lets through %q", w.name, got)
				}
			}
			if *cost > 0 {
				measure(t, ways)
			}
		})
	}
}

// aliasWay is an Envoy that keeps aliases off in one way, and what it sends to.
type aliasWay struct {
	name string
	lets bool // aliases through
	addr string
	seen *atomic.Value // http.Header of the backend's last request
}

func aliasWays(t *testing.T, p product) []aliasWay {
	noFilter := []literal{
		{p.files[0], "headers_with_underscores_action: DROP_HEADER", "headers_with_underscores_action: ALLOW"},
		{p.files[0], `- remove_on_match: {key_matcher: {safe_regex: {regex: "[a-z0-9:-]*[^a-z0-9:-].*"}}}`, ""},
	}
	var ways []aliasWay
	for _, w := range []struct {
		name    string
		lets    bool
		remove  []string
		changes []literal
	}{
		{"neither", true, nil, noFilter},
		{"the filter", false, nil, nil},
		{"the answer", false, aliases(), noFilter},
	} {
		seen := &atomic.Value{}
		backend := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.Store(r.Header.Clone()) }))
		t.Cleanup(backend.Close)
		at := strings.TrimPrefix(backend.URL, "http://")
		ways = append(ways, aliasWay{w.name, w.lets, startProxy(t, p, at, startAllowing(t, p, w.remove), at, w.changes...), seen})
	}
	return ways
}

// passed sends every alias and returns those that the backend was sent.
func (w aliasWay) passed(t *testing.T) []string {
	t.Helper()
	raw := "GET /x HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n"
	for _, name := range aliases() {
		raw += name + ": evil\r\n"
	}
	if got := sendRaw(t, clientIP, w.addr, raw+"\r\n", patience); got.status != http.StatusOK {
		t.Fatalf("%s: status %d", w.name, got.status)
	}
	var passed []string
	for name, values := range w.seen.Load().(http.Header) {
		if slices.Contains(values, "evil") {
			passed = append(passed, name)
		}
	}
	return passed
}

// startAllowing is a gate that allows everything, sets the identity and has these names removed.
func startAllowing(t *testing.T, p product, remove []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if p.grpc {
		s := grpc.NewServer()
		auth.RegisterAuthorizationServer(s, allowing(remove))
		go func() { _ = s.Serve(l) }()
		t.Cleanup(s.Stop)
		return l.Addr().String()
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Remote-User", "Remote-Groups", "Remote-Device"} {
			w.Header().Set(name, "alice")
		}
		if len(remove) > 0 {
			w.Header().Set("X-Envoy-Auth-Headers-To-Remove", strings.Join(remove, ","))
		}
	}), ReadHeaderTimeout: patience}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

type allowing []string

func (remove allowing) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	ok := &auth.OkHttpResponse{HeadersToRemove: remove}
	for _, name := range []string{"remote-user", "remote-groups", "remote-device"} {
		ok.Headers = append(ok.Headers, &core.HeaderValueOption{Header: &core.HeaderValue{Key: name, Value: "alice"},
			AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD})
	}
	return &auth.CheckResponse{Status: &rpc.Status{}, HttpResponse: &auth.CheckResponse_OkResponse{OkResponse: ok}}, nil
}

// measure gives each way its turn, three times, and logs the medians.
func measure(t *testing.T, ways []aliasWay) {
	rates := map[string][]float64{}
	for range 3 {
		for _, w := range ways {
			rates[w.name] = append(rates[w.name], w.rate(t, *cost))
		}
	}
	for _, w := range ways {
		slices.Sort(rates[w.name])
		slices.Sort(rates["neither"])
		t.Logf("%-10s %6.0f requests/s, %.2f of neither (%.0f)", w.name, rates[w.name][1], rates[w.name][1]/rates["neither"][1], rates[w.name])
	}
}

// rate returns requests a second, of eight clients like browsers: a dozen headers, none of them odd.
func (w aliasWay) rate(t *testing.T, lasting time.Duration) float64 {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	var done atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range 8 {
		all.Go(func() {
			for time.Since(start) < lasting {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.addr+"/x", nil)
				if err != nil {
					t.Error(err)
					return
				}
				for i := range 10 {
					r.Header.Set(fmt.Sprintf("Sec-Ch-Header-%d", i), "of the usual length, about forty bytes")
				}
				answer, err := transport.RoundTrip(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				done.Add(1)
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(start).Seconds()
}
