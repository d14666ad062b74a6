package e2e_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sender sends the bytes of an HTTP/1.1 request in one of the ways in which clients speak to a proxy.
type sender func(t *testing.T, from, addr, raw string) response

// dialTLS opens a connection that speaks protocol, and fails where the proxy does not.
func dialTLS(t *testing.T, from, addr, protocol string) *tls.Conn {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := tls.DialWithDialer(dialer, "tcp", addr, &tls.Config{
		ServerName: "app.example", NextProtos: []string{protocol}, InsecureSkipVerify: true, // made a moment ago
	})
	if err != nil {
		t.Fatalf("TLS to %s: %v", addr, err)
	}
	if got := conn.ConnectionState().NegotiatedProtocol; got != protocol {
		t.Fatalf("the proxy speaks %q, want %s", got, protocol)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return conn
}

// sendTLS speaks HTTP/1.1 within TLS.
func sendTLS(t *testing.T, from, addr, raw string) response {
	t.Helper()
	conn := dialTLS(t, from, addr, "http/1.1")
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return response{}
		}
		if r.StatusCode != http.StatusSwitchingProtocols && r.StatusCode < 200 {
			continue
		}
		body, _ := io.ReadAll(r.Body)
		return response{r.StatusCode, r.Header, string(body)}
	}
}

// sendHTTP2 speaks HTTP/2 within TLS, in frames of its own: no library refuses, joins or sorts what a
// case sends. A stream that is reset has status 0.
func sendHTTP2(t *testing.T, from, addr, raw string) response {
	t.Helper()
	return speakHTTP2(dialTLS(t, from, addr, "h2"), "https", raw)
}

// sendClear speaks HTTP/2 in the clear, as a client that knows before that the proxy does (RFC 9113,
// section 3.3).
func sendClear(t *testing.T, from, addr, raw string) response {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.Dial("tcp", addr)
	if err != nil {
		t.Fatalf("connecting to %s: %v", addr, err)
	}
	_ = conn.SetDeadline(time.Now().Add(2 * patience))
	return speakHTTP2(conn, "http", raw)
}

// speakHTTP2 makes the one request on the connection, and closes it.
func speakHTTP2(conn net.Conn, scheme, raw string) response {
	defer conn.Close()
	fields, body := fieldsOf(scheme, raw)
	var out bytes.Buffer
	out.WriteString(http2.ClientPreface)
	frames := http2.NewFramer(&out, conn)
	frames.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = frames.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	writeHead(frames, fields, body == "")
	if body != "" {
		_ = frames.WriteData(1, true, []byte(body))
	}
	go func() { _, _ = conn.Write(out.Bytes()) }()
	return readStream(frames)
}

// largestFrame is what every peer takes in one frame (RFC 9113, section 4.2).
const largestFrame = 16384

// writeHead writes the head of stream 1, in as many frames as it needs. Names and values go out as
// they are.
func writeHead(frames *http2.Framer, fields []hpack.HeaderField, last bool) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(f)
	}
	parts := slices.Collect(slices.Chunk(block.Bytes(), largestFrame))
	_ = frames.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: parts[0], EndStream: last, EndHeaders: len(parts) == 1})
	for i, part := range parts[1:] {
		_ = frames.WriteContinuation(1, i == len(parts)-2, part)
	}
}

// readStream reads the answer on stream 1.
func readStream(frames *http2.Framer) response {
	got := response{header: http.Header{}}
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return response{}
		}
		ended := false
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			if status, _ := strconv.Atoi(f.PseudoValue("status")); status >= 200 {
				got.status = status
			}
			for _, field := range f.RegularFields() {
				got.header.Add(field.Name, field.Value)
			}
			ended = f.StreamEnded()
		case *http2.DataFrame:
			got.body += string(f.Data())
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			// After a whole answer it says only that the body is not wanted (RFC 9113, section 8.1).
			return got
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo {
				return response{}
			}
		}
		if ended {
			return got
		}
	}
}

// fieldsOf turns the head of an HTTP/1.1 request into the fields of HTTP/2, in their order. The first
// Host becomes :authority.
func fieldsOf(scheme, raw string) ([]hpack.HeaderField, string) {
	head, body, _ := strings.Cut(raw, "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	method, target, _ := strings.Cut(strings.TrimSuffix(lines[0], " HTTP/1.1"), " ")
	fields := []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: scheme}, {Name: ":path", Value: target}}
	named := false
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		name = strings.ToLower(name)
		if name == "host" && !named {
			named = true
			fields = slices.Insert(fields, 3, hpack.HeaderField{Name: ":authority", Value: strings.TrimSpace(value)})
			continue
		}
		fields = append(fields, hpack.HeaderField{Name: name, Value: strings.TrimSpace(value)})
	}
	return fields, body
}

// fitsHTTP2 reports whether a case can be said in HTTP/2 at all, on the one window that a peer grants
// from the start.
func fitsHTTP2(c testCase) bool {
	method, target, _ := strings.Cut(c.line, " ")
	if len(c.body) > 60_000 || target != "" && !strings.HasPrefix(target, "/") || method == "CONNECT" {
		return false
	}
	return !slices.ContainsFunc(c.headers, func(h string) bool {
		name, _, _ := strings.Cut(h, ":")
		return slices.Contains([]string{"connection", "transfer-encoding", "upgrade", "expect"}, strings.ToLower(name))
	})
}

// withListeners returns the bench with a proxy that listens for all ways of the seam, and its address for
// each by the way's name.
func (b *bench) withListeners(t *testing.T) (*bench, map[string]string) {
	t.Helper()
	certificate, key := selfSigned(t)
	secure, clear := freePort(t), freePort(t)
	changes := append(listenTLS[b.name](secure, certificate, key), listenClear[b.name](clear)...)
	if listenHTTP3[b.name] != nil {
		changes = append(changes, listenHTTP3[b.name](secure, certificate, key)...)
	}
	other := b.variant(t, changes...)
	at := map[string]string{"TLS": "127.0.0.1:" + secure, "HTTP2": "127.0.0.1:" + secure, "H2C": other.addr}
	if listenHTTP3[b.name] != nil {
		at["HTTP3"] = at["TLS"]
	}
	if b.name == "nginx" {
		at["H2C"] = "127.0.0.1:" + clear
	}
	return other, at
}

// listenTLS says, for each product, what is added to the example for a second listener with TLS and
// HTTP/2. Everything else holds for it too.
var listenTLS = map[string]func(port, certificate, key string) []literal{
	"nginx": func(port, certificate, key string) []literal {
		return []literal{{"devicegate.conf", "listen 8080;", "listen 8080;\n    listen 127.0.0.1:" + port + " ssl http2;\n    ssl_certificate " +
			certificate + ";\n    ssl_certificate_key " + key + ";"}}
	},
	"traefik": func(port, certificate, key string) []literal {
		return []literal{
			{"traefik.yaml", "    http:\n", "    http: &rules\n"},
			{"traefik.yaml", "\nproviders:", "  secure:\n    address: \"127.0.0.1:" + port + "\"\n    http:\n      <<: *rules\n      tls: {}\n\nproviders:"},
			{"dynamic.yaml", "http:\n  routers:", "tls:\n  certificates:\n    - {certFile: " + certificate + ", keyFile: " + key + "}\nhttp:\n  routers:"},
		}
	},
	"caddy": func(port, certificate, key string) []literal { // which has a site speak TLS or not, never both
		return []literal{
			{"Caddyfile", "\n:8080 {", "\n(rules) {"},
			{"Caddyfile", ":9000\n\t}\n}\n", ":9000\n\t}\n}\n:8080 {\n\timport rules\n}\nhttps://:" + port + " {\n\tbind 127.0.0.1\n\ttls " + certificate + " " + key + "\n\timport rules\n}\n"},
			{"Caddyfile", "\tpersist_config off\n", "\tpersist_config off\n\tauto_https off\n"},
		}
	},
	"haproxy": func(port, certificate, _ string) []literal { // which looks for the key beside the certificate
		return []literal{{"haproxy.cfg", "bind :8080", "bind :8080\n    bind 127.0.0.1:" + port + " ssl crt " + certificate + " alpn h2,http/1.1"}}
	},
	"envoy_http": envoyTLS("envoy_http.yaml"),
	"envoy_grpc": envoyTLS("envoy_grpc.yaml"),
}

// listenClear says what is added for HTTP/2 in the clear. Traefik, Envoy and HAProxy speak it on the
// listener of the example as it stands.
var listenClear = map[string]func(port string) []literal{
	"nginx": func(port string) []literal { // 1.22 speaks one or the other on a listener without TLS
		return []literal{{"devicegate.conf", "listen 8080;", "listen 8080;\n    listen 127.0.0.1:" + port + " http2;"}}
	},
	"caddy": func(string) []literal {
		return []literal{{"Caddyfile", "\tpersist_config off\n", "\tpersist_config off\n\tservers {\n\t\tprotocols h1 h2 h2c h3\n\t}\n"}}
	},
	"traefik": noChange, "haproxy": noChange, "envoy_http": noChange, "envoy_grpc": noChange,
}

func noChange(string) []literal { return nil }

func envoyTLS(file string) func(port, certificate, key string) []literal {
	return func(port, certificate, key string) []literal {
		return []literal{
			{file, "- filters:\n", "- filters: &filters\n"},
			{file, "\n  clusters:\n", `
    - name: secure
      address: {socket_address: {address: 127.0.0.1, port_value: ` + port + `}}
      filter_chains:
        - filters: *filters
          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
              common_tls_context:
                alpn_protocols: [h2, http/1.1]
                tls_certificates: [{certificate_chain: {filename: ` + certificate + `}, private_key: {filename: ` + key + `}}]
  clusters:
`},
		}
	}
}

// selfSigned returns the paths of a certificate for app.example and of its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"app.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	coded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "certificate.pem.key")
	for path, block := range map[string]*pem.Block{
		certificate: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: coded}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
