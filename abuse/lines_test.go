package abuse_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostile are texts of attackers who want a line of their own in the log, or to paint on the terminal of who reads it.
var hostile = map[string]string{
	"a line":             "mark\r\n{\"level\":\"info\",\"message\":\"check\",\"outcome\":\"allow\"}",
	"the end of a text":  `mark","outcome":"allow","x":"`,
	"ANSI":               "mark\x1b[2J\x1b[31mred\x1b]0;title\x07",
	"C1":                 "mark\u009b31m\u0085",
	"separators":         "mark\u2028\u2029",
	"right to left":      "mark\u202egnp.exe\u2066",
	"NUL":                "mark\x00\x00",
	"a surrogate":        "mark\xed\xa0\x80",
	"not UTF-8":          "mark\xff\xfe\x80",
	"10 KB":              "mark" + strings.Repeat("a", 10_000),
	"10 KB of not UTF-8": "mark" + strings.Repeat("\xff", 10_000),
	"10 KB of lines":     "mark" + strings.Repeat("\n", 10_000),
	"1 MB":               "mark" + strings.Repeat("字", 1<<20/3),
	"backslashes":        "mark" + strings.Repeat(`\`, 3000),
	"quotes":             "mark" + strings.Repeat(`"`, 3000),
}

// longestLine bounds a line of the log, in bytes: all of the texts of a check or a sign-in at their longest, escaped.
const longestLine = 8 << 10

// TestLines: V9. Whatever texts clients choose, and wherever: each event is one line of JSON, bounded, in which nothing
// moves a cursor or breaks a line.
func TestLines(t *testing.T) {
	t.Parallel()
	g := startGate(t, settings{"log.level": "trace", "log.allowed_sample": 1})
	for name, text := range hostile {
		t.Run(name, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				g.sayEverywhere(t, text)
				served()
			}})
		})
	}
	lines := strings.Split(strings.TrimSuffix(g.stderr.String(), "\n"), "\n")
	marked, longest := 0, 0
	for _, line := range lines {
		longest = max(longest, len(line))
		if strings.Contains(line, "mark") {
			marked++
		}
		checkLine(t, line)
	}
	if marked < 4*len(hostile) || g.stdout.String() != "" {
		t.Errorf("%d lines have a text of the attacker's, want %d; on stdout: %q", marked, 4*len(hostile), g.stdout)
	}
	t.Logf("%d lines, %d of them with a text of the attacker's; the longest has %d bytes", len(lines), marked, longest)
}

func checkLine(t *testing.T, line string) {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(line), &members); err != nil || members["level"] == nil || members["time"] == nil {
		t.Errorf("%.300q is not a line of the log: %v", line, err)
	}
	if members["outcome"] == "allow" && members["user"] != "anna" {
		t.Errorf("a forged line: %.300s", line)
	}
	if len(line) > longestLine || !utf8.ValidString(line) {
		t.Errorf("a line has %d bytes, want at most %d, in UTF-8: %.300q", len(line), longestLine, line)
	}
	for name, value := range members {
		for _, r := range fmt.Sprint(value) {
			if !unicode.IsPrint(r) {
				t.Errorf("%s holds %U: %.300q", name, r, line)
				break
			}
		}
	}
}

// sayEverywhere sends a text in each place that a client can write into.
func (g *gate) sayEverywhere(t *testing.T, text string) {
	t.Helper()
	conn := g.dialH2(t, "checks.grpc")
	for i, body := range [][]byte{
		checkOf(field(fieldMethod, text), field(fieldPath, "/"+text), field(fieldHost, text), field(fieldScheme, text), field(1, text)),
		checkRequest(text, header(text, text), header("user-agent", text), header("x-request-id", text), header("x-forwarded-for", text)),
		join(checkRequest(""), field(fieldAttributes, field(10, join(field(1, "policy"), field(2, text))))),
		[]byte(text),
	} {
		conn.call(uint32(1+2*i), message(body), "user-agent", text, "x-request-id", text)
		if err := conn.flush(); err != nil {
			break // the call itself has a header that gRPC does not take
		}
		conn.finished(uint32(1 + 2*i))
	}
	conn.demandNoAllow(t)
	for i, body := range [][]byte{checkOf(field(fieldMethod, text), field(fieldPath, "/"+text), field(fieldHost, text)), checkRequest("", header("x-request-id", text))} {
		plain := g.dialH2(t, "checks.grpc")
		plain.call(1, message(body))
		if err := plain.flush(); err != nil {
			t.Errorf("message %d: %v", i, err)
		}
		plain.finished(1)
		plain.demandNoAllow(t)
	}
	// As raw bytes, which a client of Go's would not send.
	for _, head := range []string{
		"User-Agent: " + text + "\r\n", "X-Forwarded-For: " + text + "\r\n", "X-Request-Id: " + text + "\r\n", "Authorization: " + text + "\r\n", text + ": x\r\n",
		"Host: " + text + "\r\n",
	} {
		for _, listener := range []string{"checks.http", "api", "operations"} {
			g.sayAll(t, listener, checkHead+head+"Connection: close\r\n\r\n")
		}
	}
	for _, line := range []string{"X-Forwarded-Uri: /orders/1", "X-Forwarded-Host: app.example", "X-Forwarded-Method: GET", "X-Forwarded-Proto: https"} {
		name, _, _ := strings.Cut(line, ":")
		g.sayAll(t, "checks.http", strings.Replace(checkHead, line, name+": /"+text, 1)+"Connection: close\r\n\r\n")
	}
	g.sayAll(t, "checks.http", "GET /auth/envoy/"+text+"/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	g.sayAll(t, "checks.http", strings.Replace(checkHead, "/auth/traefik", "/auth/traefik?policy="+text, 1)+"Connection: close\r\n\r\n")
	g.sayAll(t, "api", text+" /"+text+" HTTP/1.1\r\nHost: a\r\n\r\n")
	for _, body := range []map[string]any{
		{"username": text, "password": passphrase}, {"username": "anna", "password": text}, {"username": "anna", "password": passphrase, "device_name": text},
		{text: text}, {"username": "mark", "password": text, "refresh": text},
	} {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequest("POST", "http://gate.example/api/token", strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		got, err := do(g.client("api", false), r)
		if err == nil && got.status != 200 && !refusal(got.status) || err != nil && len(raw) < 16<<10 { // a larger body is hung up on
			t.Errorf("%v: answered %d %.100s", err, got.status, got.body)
		}
	}
}
