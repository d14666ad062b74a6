package keysource_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"devicegate/token/keysource"
)

// TestSchedule: at once, then every 5 minutes, or up to a tenth sooner.
func TestSchedule(t *testing.T) {
	for jitter, want := range map[float64][]time.Duration{0: seconds(0, 300, 600), 1: seconds(0, 270, 540)} {
		withSite(t, serves(oneOfEach()), jitter, func(w *site) {
			if w.source.Set().Empty() || w.source.Trouble() != nil {
				t.Errorf("no keys after the first request: %v", w.source.Trouble())
			}
			w.pass(11 * time.Minute)
			if got := w.requests()[:3]; !slices.Equal(got, want) {
				t.Errorf("requests at %v, want %v", got, want)
			}
			if w.source.Set().Epoch() != 1 || len(w.log.lines) != 1 {
				t.Errorf("epoch %d, said\n%s", w.source.Set().Epoch(), &w.log)
			}
		})
	}
}

// TestBackoff: an issuer that is down at the start, and later, and what is told of it.
func TestBackoff(t *testing.T) {
	withSite(t, fails(503), 0, func(w *site) {
		if !w.source.Set().Empty() || !strings.Contains(fmt.Sprint(w.source.Trouble()), "it answers 503") {
			t.Errorf("trouble: %v", w.source.Trouble())
		}
		w.pass(200 * time.Second)
		if got, want := w.requests(), seconds(0, 1, 3, 7, 15, 31, 63, 123, 183); !slices.Equal(got, want) {
			t.Errorf("requests at %v, want %v", got, want)
		}
		w.pass(4 * time.Hour)
		if n := w.log.count("cannot be fetched"); n != 5 {
			t.Errorf("told %d times in four hours:\n%s", n, &w.log)
		}
		w.turn(serves(oneOfEach()))
		w.pass(time.Minute)
		if !good(w.source, "ES256", "p256") || w.source.Trouble() != nil || w.log.count("answers again") != 1 {
			t.Errorf("back: trouble %v\n%s", w.source.Trouble(), &w.log)
		}
		since := len(w.requests())
		w.turn(fails(500))
		w.pass(5 * time.Minute) // in which it is asked again at first after 1 second, then 2
		if n := len(w.requests()) - since; n < 2 || n > 7 || !good(w.source, "ES256", "p256") || w.source.Trouble() != nil {
			t.Errorf("down again: %d requests, trouble %v", n, w.source.Trouble())
		}
	})
}

// TestUnknownFlood: tokens with invented kids cost two requests a minute at most, one at a time.
func TestUnknownFlood(t *testing.T) {
	slow := func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-time.After(3 * time.Second):
			serves(oneOfEach())(rw, r)
		}
	}
	for name, answer := range map[string]http.HandlerFunc{"up": serves(oneOfEach()), "slow": slow, "down": fails(500)} {
		withSite(t, answer, 0, func(w *site) {
			w.pass(5 * time.Minute)
			before := len(w.requests())
			for range 10 * 60 * 20 {
				var flood sync.WaitGroup
				for range 4 {
					flood.Go(w.source.Unknown)
				}
				flood.Wait()
				<-time.After(50 * time.Millisecond)
			}
			all := w.requests()[before:]
			if n := len(all); n > 21 || n < 15 {
				t.Errorf("%s: %d requests in ten minutes", name, n)
			}
			for i := 1; i < len(all); i++ {
				if all[i]-all[i-1] < 30*time.Second {
					t.Errorf("%s: requests at %v and %v", name, all[i-1], all[i])
				}
			}
			if w.most != 1 {
				t.Errorf("%s: %d requests at once", name, w.most)
			}
		})
	}
}

// TestUnknownBringsForward: a new key is found when the first token names it, not 5 minutes later, and never
// within 30 seconds of the last request.
func TestUnknownBringsForward(t *testing.T) {
	withSite(t, serves(jwks(jwk("ed", "ed"))), 0, func(w *site) {
		w.turn(serves(jwks(jwk("ed", "ed"), jwk("ed2", "ed2"))))
		w.pass(10 * time.Second)
		if ok, known := w.source.Set().Verify(token("EdDSA", "ed2", pool()["ed2"]), "EdDSA", "ed2", true); ok || known {
			t.Errorf("a key that is not there yet: %t, %t", ok, known)
		}
		w.source.Unknown()
		w.pass(19 * time.Second)
		if n := len(w.requests()); n != 1 {
			t.Errorf("%d requests in 29 seconds", n)
		}
		w.pass(2 * time.Second)
		if !good(w.source, "EdDSA", "ed2") || !good(w.source, "EdDSA", "ed") || w.source.Set().Epoch() != 1 {
			t.Errorf("the new key is not there after 31 seconds, or the epoch is %d", w.source.Set().Epoch())
		}
		w.pass(2 * time.Minute)
		w.source.Unknown()
		w.pass(time.Millisecond)
		if got, want := w.requests(), seconds(0, 30, 151); !slices.Equal(got, want) {
			t.Errorf("requests at %v, want %v", got, want)
		}
		w.pass(300 * time.Second)
		if got := w.requests(); len(got) != 4 {
			t.Errorf("then at %v", got)
		}
	})
}

// A kid that is asked for while a request is under way has its answer with it, and one that is asked for while the
// issuer is down does not put the next try off.
func TestUnknownMeanwhile(t *testing.T) {
	slow := func(rw http.ResponseWriter, _ *http.Request) {
		<-time.After(3 * time.Second)
		serves(oneOfEach())(rw, nil)
	}
	withSite(t, slow, 0, func(w *site) {
		w.source.Unknown()
		w.pass(200 * time.Second)
		if n := len(w.requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
	withSite(t, fails(503), 0, func(w *site) {
		w.source.Unknown()
		w.pass(8 * time.Second)
		if got, want := w.requests(), seconds(0, 1, 3, 7); !slices.Equal(got, want) {
			t.Errorf("requests at %v, want %v", got, want)
		}
	})
}

func TestUnknownAllocatesNothing(t *testing.T) {
	s := mustOpen(t, keysource.Options{Algorithms: []string{"RS256"}, JWKSURL: "https://id.example/keys"})
	if n := testing.AllocsPerRun(100, s.Unknown); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestStale: keys that nobody can confirm serve for 24 hours, and come back.
func TestStale(t *testing.T) {
	withSite(t, serves(oneOfEach()), 0, func(w *site) {
		w.turn(fails(502))
		w.pass(24*time.Hour - time.Second)
		if !good(w.source, "RS256", "rsa") || w.source.Trouble() != nil || w.source.Set().Epoch() != 1 {
			t.Errorf("before: trouble %v", w.source.Trouble())
		}
		w.pass(2 * time.Second)
		if !w.source.Set().Empty() || good(w.source, "RS256", "rsa") || w.source.Set().Epoch() != 2 || !strings.Contains(fmt.Sprint(w.source.Trouble()), "over 24h") {
			t.Errorf("after: epoch %d, trouble %v", w.source.Set().Epoch(), w.source.Trouble())
		}
		if n := w.log.count("cannot be fetched"); n < 23 || n > 25 || w.log.count("none are left") != 1 {
			t.Errorf("told %d times:\n%s", n, &w.log)
		}
		w.pass(time.Hour)
		if w.source.Trouble() == nil || w.log.count("none are left") != 1 {
			t.Errorf("an hour later: trouble %v", w.source.Trouble())
		}
		w.turn(serves(oneOfEach()))
		w.pass(time.Minute)
		if !good(w.source, "RS256", "rsa") || w.source.Trouble() != nil || w.source.Set().Epoch() != 2 {
			t.Errorf("back: epoch %d, trouble %v", w.source.Set().Epoch(), w.source.Trouble())
		}
	})
}

// A clock that leaps over the 24 hours is believed at the next failure.
func TestStaleByTheGivenClock(t *testing.T) {
	clock := time.Unix(1_800_000_000, 0)
	var mu sync.Mutex
	answers := make(chan error)
	s := mustOpen(t, keysource.Options{
		Algorithms: []string{"EdDSA"}, JWKSURL: "https://id.example/keys",
		Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return clock },
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			if err := <-answers; err != nil {
				return nil, err
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(jwks(jwk("ed", "ed"))))}, nil
		}),
		Jitter: func() float64 { return 9.99999 }, // makes pauses of nearly nothing
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	answers <- nil
	answers <- io.ErrUnexpectedEOF
	answers <- io.ErrUnexpectedEOF // the failure before has been dealt with
	if s.Set().Empty() {
		t.Error("no keys although they are fresh")
	}
	mu.Lock()
	clock = clock.Add(25 * time.Hour)
	mu.Unlock()
	answers <- io.ErrUnexpectedEOF
	answers <- io.ErrUnexpectedEOF
	if !s.Set().Empty() || s.Set().Epoch() != 2 {
		t.Error("keys of yesterday serve")
	}
	cancel()
	close(answers)
	<-done
}

type roundTrip func(*http.Request) (*http.Response, error)

func (r roundTrip) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func bomb() []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(bytes.Repeat([]byte(" "), 64<<20))
	_ = z.Close()
	return b.Bytes()
}

// badAnswers are what a server may do, and a word of what is told about it.
func badAnswers() map[string]struct {
	answer http.HandlerFunc
	want   string
} {
	packed := bomb()
	answers := map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no whole answer within 10s"},
		"dripping": {func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = rw.Write([]byte(" "))
				_ = http.NewResponseController(rw).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Second):
				}
			}
		}, "no whole answer within 10s"},
		"endless": {func(rw http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := rw.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, "over 524288 bytes"},
		"endless header": {func(rw http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				rw.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1000))
			}
			serves(jwks(jwk("ed2", "ed2")))(rw, nil)
		}, "header"},
		"bomb": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = rw.Write(packed)
		}, "compressed"},
		"bomb that is not announced": {func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(packed) }, "not one JSON object"},
		"redirect": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://u:hunter2@169.254.169.254/latest/?hunter2#hunter2", http.StatusFound)
		}, "points to http://169.254.169.254/latest/: "},
		"long redirect": {func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "/"+strings.Repeat("x", 9000), http.StatusTemporaryRedirect)
		}, "it answers 307"},
		"redirect to nothing": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", "http://[")
			rw.WriteHeader(301)
		}, "Location"},
		"201": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(201)
			_, _ = io.WriteString(rw, jwks(jwk("ed2", "ed2")))
		}, "201 instead of 200"},
		"206": {fails(206), "206"}, "304": {fails(304), "304"}, "404": {fails(404), "404"}, "500": {fails(500), "500"},
		"cut": {func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "10000")
			_, _ = io.WriteString(rw, jwks(jwk("ed2", "ed2")))
		}, "broke off"},
		"hangs up":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"other alg":  {serves(jwks(jwk("ed2", "ed2").with("alg", "ES256K"))), "none of its 1 keys"},
		"oct":        {serves(jwks(members{"kty": "oct", "kid": "ed", "k": b64([]byte(goodSecret))})), "shared secret"},
		"ambiguous":  {serves(jwks(jwk("ed", "ed"), jwk("ed2", "ed"))), "different keys"},
		"encryption": {serves(jwks(jwk("ed2", "ed2").with("use", "enc"))), "its use is"},
	}
	for name, document := range badDocuments() {
		answers[name] = struct {
			answer http.HandlerFunc
			want   string
		}{serves(document[0]), document[1]}
	}
	return answers
}

// TestBadAnswers: whatever the server does, the keys stay as they were, nothing else is asked, and the first good
// answer after it counts.
func TestBadAnswers(t *testing.T) {
	for name, tt := range badAnswers() {
		t.Run(name, func(t *testing.T) {
			withSite(t, serves(jwks(jwk("ed", "ed"))), 0, func(w *site) {
				w.turn(tt.answer)
				w.pass(5*time.Minute + 11*time.Second)
				if !good(w.source, "EdDSA", "ed") || good(w.source, "EdDSA", "ed2") || w.source.Set().Epoch() != 1 || w.source.Trouble() != nil {
					t.Errorf("the keys did not stay; trouble %v", w.source.Trouble())
				}
				if w.log.count(tt.want) != 1 || strings.Contains(w.log.String(), "hunter2") || len(w.log.String()) > 4000 {
					t.Errorf("want %q told once:\n%s", tt.want, &w.log)
				}
				if got := w.hosts(); !slices.Equal(got, []string{"localhost:80"}) {
					t.Errorf("connections to %q", got)
				}
				w.turn(serves(jwks(jwk("ed2", "ed2"))))
				w.pass(2 * time.Minute)
				if good(w.source, "EdDSA", "ed") || !good(w.source, "EdDSA", "ed2") || w.source.Set().Epoch() != 2 {
					t.Errorf("it came back with another key: epoch %d", w.source.Set().Epoch())
				}
			})
			withSite(t, tt.answer, 0, func(w *site) { // the same at the start
				w.pass(11 * time.Second)
				if text := fmt.Sprint(w.source.Trouble()); !w.source.Set().Empty() || !strings.Contains(text, tt.want) || strings.Contains(text, "hunter2") {
					t.Errorf("trouble: %v", text)
				}
			})
		})
	}
}

// TestRotation: as issuers do it: the new key beside the old one, then the old one away.
func TestRotation(t *testing.T) {
	withSite(t, serves(jwks(jwk("rsa", "rsa"))), 0, func(w *site) {
		for i, step := range []struct {
			keys      []members
			old, next bool
			epoch     uint32
		}{
			{[]members{jwk("rsa", "rsa"), jwk("rsa2", "rsa2")}, true, true, 1},
			{[]members{jwk("rsa2", "rsa2"), jwk("rsa", "rsa")}, true, true, 1},
			{[]members{jwk("rsa2", "rsa2"), jwk("rsa", "rsa").with("alg", "RS256")}, true, true, 2},
			{[]members{jwk("rsa2", "rsa2")}, false, true, 3},
			{[]members{jwk("rsa", "rsa")}, true, false, 4},
			{[]members{jwk("rsa2", "rsa")}, false, false, 5},
		} {
			w.turn(serves(jwks(step.keys...)))
			w.pass(5 * time.Minute)
			if good(w.source, "RS256", "rsa") != step.old || good(w.source, "RS256", "rsa2") != step.next || w.source.Set().Epoch() != step.epoch {
				t.Errorf("step %d: old %t, next %t, epoch %d", i, good(w.source, "RS256", "rsa"), good(w.source, "RS256", "rsa2"), w.source.Set().Epoch())
			}
		}
	})
}

// What is not used is told once, not at every request, whatever the order.
func TestSkippedToldOnce(t *testing.T) {
	a, b := jwk("rsa", "a").with("use", "enc"), jwk("rsa", "b").with("use", "enc").with("d", "x")
	withSite(t, serves(jwks(a, b, jwk("ed", "ed"))), 0, func(w *site) {
		w.pass(20 * time.Minute)
		w.turn(serves(jwks(jwk("ed", "ed"), b, a)))
		w.pass(20 * time.Minute)
		if w.log.count("not used: ") != 1 || w.log.count("can sign") != 1 {
			t.Errorf("said\n%s", &w.log)
		}
	})
}
