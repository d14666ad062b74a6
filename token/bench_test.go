package token_test

import (
	"testing"

	"devicegate/reason"
	"devicegate/token"
)

func benchmarkVerify(b *testing.B, cacheBytes int, raw func(*fixture) string, want reason.Reason) {
	cfg := defaultConfig()
	cfg.CacheBytes = cacheBytes
	f := newFixture(b, cfg)
	t := raw(f)
	b.ReportAllocs()
	for b.Loop() {
		if _, why := f.verifier.Verify(t); why != want {
			b.Fatalf("got %v, want %v", why, want)
		}
	}
}

func BenchmarkVerifyHit(b *testing.B) {
	benchmarkVerify(b, token.DefaultCacheBytes, func(f *fixture) string { return f.mustIssue(b) }, reason.OK)
}

func BenchmarkVerifyMiss(b *testing.B) {
	benchmarkVerify(b, 1, func(f *fixture) string { return f.mustIssue(b) }, reason.OK)
}

func BenchmarkVerifyJunk(b *testing.B) {
	for name, raw := range map[string]func(*fixture) string{
		"NoToken": func(*fixture) string { return "not-a-token" },
		"UnknownKey": func(f *fixture) string {
			return f.sign(`{"alg":"EdDSA","kid":"x","typ":"at+jwt"}`, honestClaims().String())
		},
		"BadSignature": func(f *fixture) string { return broken(f.mustIssue(b)) },
	} {
		want := reason.TokenUnverified
		if name == "NoToken" {
			want = reason.TokenMalformed
		}
		b.Run(name, func(b *testing.B) { benchmarkVerify(b, token.DefaultCacheBytes, raw, want) })
	}
}

func BenchmarkIssue(b *testing.B) {
	f := newFixture(b, defaultConfig())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := f.issuer.Issue(subject()); err != nil {
			b.Fatal(err)
		}
	}
}
