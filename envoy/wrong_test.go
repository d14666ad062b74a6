package envoy_test

import (
	"context"
	"slices"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"devicegate/authz"
	"devicegate/authz/authztest"
	"devicegate/envoy"
	"devicegate/reason"
)

// verbatim is a codec that sends bytes as they are, as a broken or hostile Envoy would.
type verbatim struct{}

func (verbatim) Name() string { return "proto" }

func (verbatim) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (verbatim) Unmarshal(data mem.BufferSlice, v any) error {
	return proto.Unmarshal(data.Materialize(), v.(proto.Message))
}

// invalid are bytes that are no CheckRequest, made from one that carries a token.
func invalid(t testing.TB, raw string) map[string][]byte {
	t.Helper()
	good, err := proto.Marshal(asMap.request(authztest.Question{Authorization: []string{"Bearer " + raw}}.Filled()))
	if err != nil {
		t.Fatal(err)
	}
	latin := append([]byte(nil), good...)
	for i := range latin { // field 5 of http is its host: a byte that is no UTF-8 in the first canary
		if string(latin[i:min(i+6, len(latin))]) == "canary" {
			latin[i] = 0x80
			break
		}
	}
	return map[string][]byte{
		"a string that is not UTF-8": latin, "truncated": good[:len(good)-1], "cut in half": good[:len(good)/2], "one byte": {0x0a},
		// The reader has all of a good check in hand when it comes to the end.
		"broken behind a good one": append(slices.Clip(good), 0xff),
		"noise":                    []byte("\xff\xff\xff\xff\xff\xff"), "a length past the end": {0x0a, 0xff, 0xff, 0xff, 0x7f}, "text": []byte("GET / HTTP/1.1\r\n\r\n"),
	}
}

// CVE-2024-23324: a check that cannot be read makes an error, and an error is what failure_mode_allow
// lets pass. It is refused like any other.
func TestUnreadableChecksAreRefused(t *testing.T) {
	w := authztest.NewWorld(t)
	for what, data := range invalid(t, w.Anna.Token) {
		var check authv3.CheckRequest
		if proto.Unmarshal(data, &check) == nil {
			t.Errorf("%s can be read: the row shows nothing", what)
		}
		gate := w.Gate(authztest.Setup{})
		response := new(authv3.CheckResponse)
		err := serve(t, gate, nil).Invoke(t.Context(), authv3.Authorization_Check_FullMethodName, data, response, grpc.ForceCodecV2(verbatim{}))
		if err != nil {
			t.Errorf("%s: a gRPC error: %v", what, err)
			continue
		}
		if got := read(t, response); got.Status != 403 || got.Header.Get("X-Auth-Reason") != reason.RequestIncomplete.String() {
			t.Errorf("%s: answered %d %v", what, got.Status, got.Header)
		}
	}
}

// The codec forgives nothing to the other services on the listener, and reads what they are sent.
func TestCodecLeavesOthersAlone(t *testing.T) {
	conn := serve(t, &spy{}, nil)
	for _, name := range []string{"", envoy.ServiceName} {
		got, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{Service: name})
		if err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("health of %q: %v, %v", name, got, err)
		}
	}
	err := conn.Invoke(t.Context(), healthpb.Health_Check_FullMethodName, []byte{0x0a}, new(healthpb.HealthCheckResponse), grpc.ForceCodecV2(verbatim{}))
	if err == nil {
		t.Error("a health check of one byte was answered")
	}
	if err := envoy.NewCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer{0x0a}}, new(authv3.CheckResponse)); err == nil {
		t.Error("a CheckResponse of one byte was read")
	}
}

// broken panics while it decides.
type broken struct{}

func (broken) Decide(context.Context, authz.Request) authz.Decision { panic("secret-canary") }

func TestPanicIsRefused(t *testing.T) {
	reported := make(chan any, 1)
	conn := serve(t, broken{}, func(p any) { reported <- p })
	got := read(t, mustCheck(t, conn, asMap.request(authztest.Question{}.Filled())))
	if got.Status != 403 || got.Header.Get("X-Auth-Reason") != reason.Undecided.String() {
		t.Errorf("answered %d %v", got.Status, got.Header)
	}
	if told := <-reported; told != "secret-canary" {
		t.Errorf("reported %v", told)
	}
}

// fixed answers every check with one decision.
type fixed authz.Decision

func (f fixed) Decide(context.Context, authz.Request) authz.Decision { return authz.Decision(f) }

// A decision that nobody made, and one that is none, refuse.
func TestZeroDecisionIsRefused(t *testing.T) {
	identity := authz.Identity{Set: []authz.Header{{Name: "Remote-User", Value: "anna"}}, Remove: []string{"Remote-Groups"}}
	for _, d := range []authz.Decision{{}, {Identity: identity}, {Reason: 255, Identity: identity}, {Reason: reason.NoToken, Identity: identity}} {
		got := read(t, mustCheck(t, serve(t, fixed(d), nil), asMap.request(authztest.Question{}.Filled())))
		if got.Status == 200 || got.Header.Get("Remote-User") != "" || got.Remove != nil {
			t.Errorf("%+v was answered %d %v", d, got.Status, got.Header)
		}
	}
}

// FuzzCheck: whatever bytes arrive as a check, they are answered with a response that Envoy cannot take
// for an allow unless the decision was one.
func FuzzCheck(f *testing.F) {
	for _, data := range invalid(f, "x") {
		f.Add(data)
	}
	for _, row := range authztest.Authorizations {
		for _, form := range []form{asMap, asRaw} {
			data, err := proto.Marshal(form.request(authztest.Question{Authorization: row.With("x"), Policy: "staff"}.Filled()))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	both := asMap.request(authztest.Question{}.Filled())
	both.Attributes.Request.Http.HeaderMap = &corev3.HeaderMap{Headers: []*corev3.HeaderValue{{Key: "Authorization", RawValue: []byte("\xff")}}}
	data, err := proto.Marshal(both)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	var handler grpc.MethodDesc
	for _, m := range authv3.Authorization_ServiceDesc.Methods {
		handler = m
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &spy{}
		service := registered(t, s)
		decode := envoy.Reader(data)
		response, err := handler.Handler(service, t.Context(), decode, nil)
		if err != nil {
			t.Fatalf("an error: %v", err)
		}
		read(t, response.(*authv3.CheckResponse))
		var check authv3.CheckRequest
		if proto.Unmarshal(data, &check) != nil && s.last.Complete {
			t.Errorf("bytes that cannot be read make a complete request: %+v", s.last)
		}
	})
}

// registrar takes the service that Register would give to gRPC.
type registrar struct{ service any }

func (r *registrar) RegisterService(_ *grpc.ServiceDesc, service any) { r.service = service }

func registered(t testing.TB, d envoy.Decider) any {
	r := &registrar{}
	envoy.Register(r, envoy.Options{
		Decider: d, DefaultPolicy: func() string { return "default" }, Panicked: func(p any) { t.Errorf("a check panicked: %v", p) },
	})
	return r.service
}

// BenchmarkAllow is the whole way of an allowed check but for gRPC: translation, decision, log, metrics.
func BenchmarkAllow(b *testing.B) {
	w := authztest.NewWorld(b)
	service := registered(b, w.Gate(authztest.Setup{Sample: 1 << 62})).(authv3.AuthorizationServer)
	check := asMap.request(authztest.Question{Authorization: []string{"Bearer " + w.Anna.Token}}.Filled())
	ctx := fromLoopback(b.Context())
	var response *authv3.CheckResponse
	b.ReportAllocs()
	for b.Loop() {
		response, _ = service.Check(ctx, check)
	}
	if response.GetOkResponse() == nil {
		b.Fatalf("answered %v", response)
	}
}
