package envoy_test

import (
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"devicegate/authz/authztest"
)

// BenchmarkCall is an allowed check over a connection, its client included: one at a time, and 64 at once.
func BenchmarkCall(b *testing.B) {
	w := authztest.NewWorld(b)
	client := authv3.NewAuthorizationClient(serve(b, w.Gate(authztest.Setup{Sample: 1 << 62}), nil))
	check := asMap.request(authztest.Question{Authorization: []string{"Bearer " + w.Anna.Token}}.Filled())
	ask := func() {
		if response, err := client.Check(b.Context(), check); err != nil || response.GetOkResponse() == nil {
			b.Errorf("answered %v, %v", response, err)
		}
	}
	b.Run("1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask()
		}
	})
	b.Run("64", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				ask()
			}
		})
	})
}
