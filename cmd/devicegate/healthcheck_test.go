package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

// TestHealthcheckOfAServiceThatIsNotReady: the answer is no, which is exit code 3.
func TestHealthcheckOfAServiceThatIsNotReady(t *testing.T) {
	for status, code := range map[int]int{200: exitDone, 503: exitNo, 500: exitNo} {
		service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				t.Errorf("healthcheck asks for %s", r.URL.Path)
			}
			w.WriteHeader(status)
		}))
		defer service.Close()
		var stdout, stderr bytes.Buffer
		environ := []string{"DEVICEGATE_CONFIG=" + os.DevNull, "DEVICEGATE_OPERATIONS_ADDRESS=" + strings.TrimPrefix(service.URL, "http://")}
		got := run([]string{"healthcheck"}, environ, strings.NewReader(""), &stdout, &stderr)
		if got != code {
			t.Errorf("/readyz answers %d: exit code %d, want %d; %s", status, got, code, stderr.String())
		}
		if said := stderr.String(); code == exitNo && said != "devicegate: not ready\n" {
			t.Errorf("/readyz answers %d: it says %q", status, said)
		}
	}
}
