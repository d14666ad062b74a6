package device_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"devicegate/device"
)

var userAgents = map[string]string{
	"Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0":                                                                  "Firefox on Linux",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36":                         "Chrome on Windows",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                   "Safari on macOS",
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0":           "Edge on Windows",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
	"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36":                         "Chrome on Android",
	"curl/7.88.1":                     "curl/7.88.1",
	"OurApp/3.2 (build 41)":           "OurApp/3.2 (build 41)",
	"":                                "",
	"  \t ":                           "",
	"evil\r\nSet-Cookie: a=b\x1b[31m": "evilSet-Cookie: a=b[31m",
	strings.Repeat("x", 300):          strings.Repeat("x", 60) + "…",
	strings.Repeat("ü", 61):           strings.Repeat("ü", 60) + "…",
	"a\xffb":                          "ab",
}

func TestGuessName(t *testing.T) {
	for in, want := range userAgents {
		if got := device.GuessName(in); got != want {
			t.Errorf("GuessName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzGuessName(f *testing.F) {
	for in := range userAgents {
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := device.GuessName(in)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > device.MaxName || strings.ContainsAny(got, "\r\n\x00\x1b") {
			t.Errorf("GuessName(%q) = %q", in, got)
		}
	})
}
