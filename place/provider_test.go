package place_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"devicegate/place"
)

const berlinJSON = `{"country_code":"DE","region":"Land Berlin","city":"Berlin"}`

// patience is longer than any test: no test waits for it.
const patience = time.Hour

// serve starts a provider and returns its URL with {ip}. Whatever a test leaves under way is cut off at its end.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{ip}/json/", h)
	s := httptest.NewServer(mux)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s.URL + "/{ip}/json/"
}

func answerBerlin(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, berlinJSON) }

func never(t *testing.T) func(place.Place) {
	return func(p place.Place) { t.Errorf("called with %+v", p) }
}

// nth is the nth of many public addresses.
func nth(n int) netip.Addr { return netip.AddrFrom4([4]byte{20, byte(n >> 16), byte(n >> 8), byte(n)}) }

func TestAsk(t *testing.T) {
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if got := r.PathValue("ip"); got != inOslo.String() {
			t.Errorf("asked about %s", got)
		}
		if r.URL.RawQuery != "" || r.Header.Get("Accept-Encoding") != "" || r.Header.Get("Authorization") != "" {
			t.Errorf("asked with %s, %v", r.URL, r.Header)
		}
		io.WriteString(w, `{"country_code":"no","region":"Oslo County","city":"Oslo"}`)
	})
	f, c, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	wantPlace(t, f, inOslo, place.Place{})
	answered := make(chan place.Place, 10)
	then := func(p place.Place) { answered <- p }
	for range 3 { // the second and the third are answered by what the first learned
		f.Ask(inOslo, then)
		if got := must(t, answered); got != oslo {
			t.Errorf("told %+v, want %+v", got, oslo)
		}
		wantPlace(t, f, inOslo, oslo)
	}
	c.Move(24*time.Hour - 1)
	wantPlace(t, f, inOslo, oslo)
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times within a day, want 1", got)
	}
	c.Move(1)
	wantPlace(t, f, inOslo, place.Place{})
	f.Ask(inOslo, then)
	must(t, answered)
	if got := asked.Load(); got != 2 {
		t.Errorf("asked %d times after a day, want 2", got)
	}
}

func TestTheFileComesFirst(t *testing.T) {
	asked := make(chan string, 10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.PathValue("ip")
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{MMDBFile: citiesFile(t), HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place)
	f.Ask(inOslo, func(p place.Place) { answered <- p })
	if got := must(t, answered); got != oslo {
		t.Errorf("told %+v, want %+v", got, oslo)
	}
	f.Ask(nowhere, func(p place.Place) { answered <- p })
	must(t, answered)
	if got := must(t, asked); got != nowhere.String() {
		t.Errorf("the provider was asked about %s, which the file knows", got)
	}
}

func TestMappedAndPlainAreOneAddress(t *testing.T) {
	asked := make(chan string, 10)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.PathValue("ip")
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place)
	f.Ask(netip.MustParseAddr("::ffff:81.2.69.142"), func(p place.Place) { answered <- p })
	must(t, answered)
	wantPlace(t, f, inBerlin, berlin)
	if got := must(t, asked); got != "81.2.69.142" {
		t.Errorf("asked about %s", got)
	}
}

// oneByOne opens a Finder of which three of four are busy for as long as the test runs, so that asks are answered in their
// order. h answers the others; settle returns when all that was asked before is dealt with.
func oneByOne(t *testing.T, h http.HandlerFunc) (f *place.Finder, c *clock, notes <-chan note, settle func()) {
	t.Helper()
	entered := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.PathValue("ip"), "20.") {
			h(w, r)
			return
		}
		entered <- struct{}{}
		<-r.Context().Done()
	})
	f, c, notes = mustOpen(t, place.Options{MMDBFile: citiesFile(t), HTTPURL: s, HTTPTimeout: patience})
	for i := range 3 {
		f.Ask(nth(i), never(t))
		must(t, entered)
	}
	return f, c, notes, func() {
		done := make(chan struct{})
		f.Ask(inBerlin, func(place.Place) { close(done) }) // the file knows it
		<-done
	}
}

func TestNotKnownIsKeptForAnHour(t *testing.T) {
	for _, body := range []string{`{"error":true,"country_code":"DE"}`, `{}`, `{"city":17}`, `{"country":"Germany"}`} {
		var asked atomic.Int32
		f, c, notes, settle := oneByOne(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			io.WriteString(w, body)
		})
		for i, step := range []time.Duration{0, time.Hour - 1, 1} {
			c.Move(step)
			f.Ask(nowhere, never(t))
			settle()
			if got, want := asked.Load(), []int32{1, 1, 2}[i]; got != want {
				t.Errorf("%s: asked %d times, want %d", body, got, want)
			}
		}
		wantPlace(t, f, nowhere, place.Place{})
		if len(notes) > 0 {
			t.Errorf("%s: noted %s", body, <-notes)
		}
	}
}

// TestBrokenProvider is the table of providers that are no help: nothing is found, one note says why, and the
// provider is left alone.
func TestBrokenProvider(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		answerBerlin(w, r)
	})
	gone := make(chan struct{}) // the endless answer was cut off
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		note   string
	}{
		{"not JSON", says("<html>Sign in to the Wi-Fi</html>"), "no JSON object"},
		{"an array", says("[" + berlinJSON + "]"), "no JSON object"},
		{"deep nesting", says(strings.Repeat("[", 16000)), "no JSON object"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, berlinJSON)
		}, "EOF"},
		{"hung up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		{"a byte too long", says(berlinJSON + strings.Repeat(" ", 16<<10+1-len(berlinJSON))), "more than 16384 bytes"},
		{"a city of 1 MB", says(`{"city":"` + strings.Repeat("x", 1<<20) + `"}`), "more than 16384 bytes"},
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err != nil {
					close(gone)
					return
				}
			}
		}, "more than 16384 bytes"},
		{"an endless header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			answerBerlin(w, r)
		}, "headers exceeded"},
		{"packed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed([]byte(berlinJSON)))
		}, "no JSON object"},
		{"a gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed(make([]byte, 8<<20)))
		}, "no JSON object"},
		{"redirects to itself", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "status 302"},
		{"redirects elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, strings.Replace(other, "{ip}", r.PathValue("ip"), 1), http.StatusTemporaryRedirect)
		}, "status 307"},
		{"an error with a good body", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			answerBerlin(w, r)
		}, "status 500"},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, "status 204"},
		{"too many", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, "status 429"},
		{"another protocol", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "SSH-2.0-\x1b[31m"+strings.Repeat("x", 8000)+"\r\n")
			conn.Close()
		}, "malformed HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked atomic.Int32
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				c.answer(w, r)
			})
			f, _, notes := mustOpen(t, place.Options{HTTPURL: s + "?key=verysecret", HTTPTimeout: patience})
			f.Ask(inBerlin, never(t))
			n := must(t, notes)
			if n.err == nil || !strings.Contains(n.err.Error(), c.note) {
				t.Errorf("noted %s, want %q", n, c.note)
			}
			wantSafe(t, n)
			wantPlace(t, f, inBerlin, place.Place{})
			f.Ask(inBerlin, never(t)) // left alone
			f.Ask(inOslo, never(t))
			f.Close()
			if got := asked.Load(); got != 1 {
				t.Errorf("asked %d times, want 1", got)
			}
		})
	}
	<-gone
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

// wantSafe demands that a note tells neither the key in the URL nor the user's address, and is bounded.
func wantSafe(t *testing.T, n note) {
	t.Helper()
	s := n.String()
	if strings.Contains(s, "verysecret") || strings.Contains(s, inBerlin.String()) || strings.Contains(s, "\x1b") || len(s) > 500 {
		t.Errorf("a note of %d bytes that says too much: %.600q", len(s), s)
	}
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

func packed(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

func TestLargestAnswer(t *testing.T) {
	s := serve(t, says(berlinJSON+strings.Repeat(" ", 16<<10-len(berlinJSON))))
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place)
	f.Ask(inBerlin, func(p place.Place) { answered <- p })
	must(t, answered)
}

// TestSlowProvider sends the header and then nothing: the timeout is for the answer in all. (A busy machine can run into
// it before.)
func TestSlowProvider(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	f, _, notes := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: time.Millisecond})
	f.Ask(inBerlin, never(t))
	if n := must(t, notes); n.err == nil || !strings.Contains(n.err.Error(), "deadline exceeded") && !strings.Contains(n.err.Error(), "timeout") {
		t.Errorf("noted %s", n)
	}
}

// TestDownAndUpAgain follows one provider through a failure, 429 for an hour, and its return. Each ask is about an address
// of its own: the note comes a moment before the failed ask is over, and another about the same address would join it.
func TestDownAndUpAgain(t *testing.T) {
	status := make(chan int, 1)
	var asked atomic.Int32
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "864000") // counts with 429 only
		w.WriteHeader(<-status)
		answerBerlin(w, r)
	})
	f, c, notes := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	asks := 0
	ask := func(then func(place.Place)) {
		asks++
		f.Ask(nth(asks), then)
	}
	fails := func(code int) {
		t.Helper()
		status <- code
		ask(never(t))
		if n := must(t, notes); !strings.Contains(n.err.Error(), fmt.Sprint(code)) {
			t.Errorf("noted %s", n)
		}
	}
	quiet := func(d time.Duration) {
		t.Helper()
		before := asked.Load()
		ask(never(t))
		c.Move(d - 1)
		ask(never(t))
		c.Move(1)
		if got := asked.Load(); got != before {
			t.Errorf("asked %d times during the pause", got-before)
		}
	}
	fails(500)
	quiet(time.Second)
	c.Move(time.Minute) // so that the next trouble is noted
	fails(429)
	quiet(time.Hour)
	status <- 200
	answered := make(chan place.Place)
	ask(func(p place.Place) { answered <- p })
	if got := must(t, answered); got != berlin {
		t.Errorf("told %+v", got)
	}
	if got := asked.Load(); got != 3 {
		t.Errorf("asked %d times, want 3", got)
	}
	if f.Dropped() != 0 {
		t.Errorf("dropped %d: a pause is not a full queue", f.Dropped())
	}
}

// TestFailureSparesThoseWhoWait has three addresses in the queue when the provider fails: it is not asked about them.
func TestFailureSparesThoseWhoWait(t *testing.T) {
	asked, release := make(chan string, 10), make(chan struct{})
	f, _, _, settle := oneByOne(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.PathValue("ip")
		<-release
		w.WriteHeader(500)
	})
	f.Ask(nowhere, never(t))
	must(t, asked)
	for i := range byte(3) {
		f.Ask(netip.AddrFrom4([4]byte{21, 0, 0, i}), never(t))
	}
	close(release)
	settle()
	if len(asked) > 0 {
		t.Errorf("asked about %s after it failed", <-asked)
	}
}

// TestNoteAtMostOnceAMinute has a provider fail three times.
func TestNoteAtMostOnceAMinute(t *testing.T) {
	var asked atomic.Int32
	f, c, notes, settle := oneByOne(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(500)
	})
	for i, want := range []int{1, 1, 2} {
		f.Ask(nowhere, never(t))
		settle()
		if got := asked.Load(); got != int32(i+1) {
			t.Errorf("asked %d times, want %d", got, i+1)
		}
		if got := len(notes); got != want {
			t.Errorf("failure %d: %d notes, want %d", i+1, got, want)
		}
		c.Move(time.Minute - time.Nanosecond*time.Duration(1-i))
	}
}

// TestBounds fills every place: 4 under way, 64 waiting, and no more.
func TestBounds(t *testing.T) {
	var now, most atomic.Int32
	entered, release := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		entered <- struct{}{}
		<-release
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place, 100)
	then := func(p place.Place) { answered <- p }
	for i := range 4 {
		f.Ask(nth(i), then)
		must(t, entered)
	}
	for i := range 64 {
		f.Ask(nth(4+i), then)
	}
	if got := f.Dropped(); got != 0 {
		t.Errorf("dropped %d of the first 68", got)
	}
	for i := range 3 {
		f.Ask(nth(68+i), never(t))
	}
	if got := f.Dropped(); got != 3 {
		t.Errorf("dropped %d, want 3", got)
	}
	close(release)
	for range 68 {
		must(t, answered)
	}
	if got := most.Load(); got != 4 {
		t.Errorf("%d requests at once, want 4", got)
	}
}

// TestJoined asks about one address many times while the provider thinks: one request, every callback, up to 64.
func TestJoined(t *testing.T) {
	var asked atomic.Int32
	entered, release := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		entered <- struct{}{}
		<-release
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place, 100)
	for range 64 {
		f.Ask(inBerlin, func(p place.Place) { answered <- p })
	}
	must(t, entered)
	f.Ask(inBerlin, never(t))
	if got := f.Dropped(); got != 1 {
		t.Errorf("dropped %d, want 1", got)
	}
	close(release)
	for range 64 {
		if got := must(t, answered); got != berlin {
			t.Errorf("told %+v", got)
		}
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times, want 1", got)
	}
}

// TestTheLeastRecentlyUsedAnswerGoes fills the memory of answers and one more.
func TestTheLeastRecentlyUsedAnswerGoes(t *testing.T) {
	s := serve(t, answerBerlin)
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	answered := make(chan place.Place)
	for i := range 10_001 {
		f.Ask(nth(i), func(p place.Place) { answered <- p })
		must(t, answered)
		wantPlace(t, f, nth(0), berlin) // used, so it stays
		if i == 9_999 {
			wantPlace(t, f, nth(2), berlin)
		}
	}
	wantPlace(t, f, nth(0), berlin)
	wantPlace(t, f, nth(1), place.Place{})
	wantPlace(t, f, nth(3), berlin)
}

// TestCloseWhileAsking closes with four requests under way and others waiting: they end, nobody is called, and
// nothing is noted as the provider's fault.
func TestCloseWhileAsking(t *testing.T) {
	entered, ended := make(chan struct{}, 100), make(chan struct{}, 100)
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	})
	f, _, notes := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	for i := range 20 {
		f.Ask(nth(i), never(t))
	}
	for range 4 {
		must(t, entered)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for range 4 {
		must(t, ended)
	}
	for i := range 100 {
		f.Ask(nth(1000+i), never(t))
	}
	if got := f.Dropped(); got != 0 {
		t.Errorf("kept asks after Close until %d had to be dropped", got)
	}
	if len(entered) > 0 {
		t.Error("asked after Close")
	}
	if len(notes) > 0 {
		t.Errorf("noted %s", <-notes)
	}
}

// TestCloseWaitsForTheCallback closes while one callback runs and another of the same address waits behind it.
func TestCloseWaitsForTheCallback(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		answerBerlin(w, r)
	})
	f, _, _ := mustOpen(t, place.Options{HTTPURL: s, HTTPTimeout: patience})
	running, finish := make(chan struct{}), make(chan struct{})
	var finished atomic.Bool
	f.Ask(inBerlin, func(place.Place) {
		close(running)
		<-finish
		finished.Store(true)
	})
	f.Ask(inBerlin, never(t))
	<-entered
	close(release)
	<-running
	closed := make(chan struct{})
	go func() {
		f.Close()
		if !finished.Load() {
			t.Error("Close returned while a callback ran")
		}
		close(closed)
	}()
	f.Run(t.Context()) // ends when Close has begun
	close(finish)
	<-closed
}

func TestURL(t *testing.T) {
	for _, c := range []struct {
		url string
		ok  bool
	}{
		{"https://ipapi.co/{ip}/json/", true},
		{"https://ipapi.co/{ip}/json/?key=verysecret", true},
		{"http://geo.internal:8080/lookup?address={ip}", true},
		{"https://ipapi.co/json/", false},
		{"https://{ip}.verysecret.example/", false},
		{"https://{ip}/verysecret", false},
		{"https://{ip}:verysecret@ipapi.co/", false},
		{"https://ipapi.co/verysecret#{ip}", false},
		{"https:///{ip}/verysecret", false},
		{"/{ip}/verysecret", false},
		{"file:///{ip}/verysecret", false},
		{"ftp://verysecret/{ip}", false},
		{"https://verysecret/{ip}/%zz", false},
		{"https://verysecret/{ip}\n", false},
	} {
		f, err := place.Open(place.Options{HTTPURL: c.url})
		if err == nil {
			f.Close()
		} else if !errors.Is(err, place.ErrURL) || !strings.Contains(err.Error(), "geo.http_url") || strings.Contains(err.Error(), "verysecret") {
			t.Errorf("%s: %v", c.url, err)
		}
		if (err == nil) != c.ok {
			t.Errorf("Open with %s = %v, want ok: %t", c.url, err, c.ok)
		}
	}
}

var proxied atomic.Int32

// TestMain has the environment name a proxy before net/http reads it, which it does once. No proxy is used for
// servers on this machine, so that the other tests do not notice.
func TestMain(m *testing.M) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		proxied.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	os.Setenv("HTTP_PROXY", proxy.URL)
	os.Unsetenv("NO_PROXY")
	os.Unsetenv("no_proxy")
	code := m.Run()
	proxy.Close()
	os.Exit(code)
}

// TestNoProxyFromTheEnvironment names a host that does not exist, which only a proxy could answer for.
func TestNoProxyFromTheEnvironment(t *testing.T) {
	f, _, notes := mustOpen(t, place.Options{HTTPURL: "http://provider.invalid/{ip}", HTTPTimeout: time.Second})
	f.Ask(inBerlin, never(t))
	if n := must(t, notes); !strings.Contains(n.err.Error(), "provider.invalid") {
		t.Errorf("noted %s, want the host that cannot be found", n)
	}
	if proxied.Load() != 0 {
		t.Error("asked through a proxy")
	}
}

// TestConnectionRefused is a provider that is not there.
func TestConnectionRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	f, _, notes := mustOpen(t, place.Options{HTTPURL: "http://" + l.Addr().String() + "/{ip}?key=verysecret"})
	f.Ask(inBerlin, never(t))
	wantSafe(t, must(t, notes))
}
