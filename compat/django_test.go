package compat_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// djangoProject is a running project with django-trusted-devices; see the flag.
type djangoProject struct {
	t   *testing.T
	url string
}

func startDjango(t *testing.T, url string) *djangoProject { return &djangoProject{t: t, url: url} }

// send comes from another address of this machine where the walk says cafe.
func (d *djangoProject) send(q request) response {
	if q.path == "/api/token" {
		d.hook(`{"advance":0}`) // the project's throttle is no part of the walk
	}
	from := "127.0.0.1"
	if q.from != "" {
		from = "127.0.0.2"
	}
	return d.do(q, from)
}

func (d *djangoProject) do(q request, from string) response {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), q.method, d.url+q.path, strings.NewReader(q.body))
	if err != nil {
		d.t.Fatal(err)
	}
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		r.Header.Set("Authorization", "Bearer "+q.token)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	answer, err := (&http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, body}
}

func (d *djangoProject) hook(body string) {
	if r := d.do(request{method: "POST", path: "/_hook", body: body}, "127.0.0.1"); r.status != 200 {
		d.t.Fatalf("POST /_hook %s = %d", body, r.status)
	}
}

func (d *djangoProject) advance(by time.Duration) {
	d.hook(fmt.Sprintf(`{"advance":%d}`, by/time.Second))
}
func (d *djangoProject) disable(name string) { d.hook(`{"disable":"` + name + `"}`) }
