package e2e_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// listenHTTP3 says, for the products that speak HTTP/3, what is added to the example and its listener with TLS
// for QUIC on the UDP port of the same number. nginx 1.22 and HAProxy 2.6 as Debian builds it do not.
var listenHTTP3 = map[string]func(port, certificate, key string) []literal{
	"traefik": func(string, string, string) []literal {
		return []literal{{"traefik.yaml", "      tls: {}\n", "      tls: {}\n    http3: {}\n"}}
	},
	"caddy":      func(string, string, string) []literal { return nil }, // wherever it speaks TLS
	"envoy_http": envoyHTTP3("envoy_http.yaml"),
	"envoy_grpc": envoyHTTP3("envoy_grpc.yaml"),
}

// envoyHTTP3 adds a connection manager, because that of the example would have to be told which protocol it
// speaks. Filters and routes are those of the example, and so are the settings above them.
func envoyHTTP3(file string) func(port, certificate, key string) []literal {
	return func(port, certificate, key string) []literal {
		return []literal{
			{file, "http_filters:\n", "http_filters: &http_filters\n"},
			{file, "route_config:\n", "route_config: &route_config\n"},
			{file, "\n  clusters:\n", `
    - name: quic
      address: {socket_address: {protocol: UDP, address: 127.0.0.1, port_value: ` + port + `}}
      udp_listener_config: {quic_options: {}}
      filter_chains:
        - transport_socket:
            name: envoy.transport_sockets.quic
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport
              downstream_tls_context:
                common_tls_context:
                  tls_certificates: [{certificate_chain: {filename: ` + certificate + `}, private_key: {filename: ` + key + `}}]
          filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                codec_type: HTTP3
                stat_prefix: quic
                use_remote_address: true
                normalize_path: true
                merge_slashes: true
                path_with_escaped_slashes_action: REJECT_REQUEST
                common_http_protocol_options: {headers_with_underscores_action: DROP_HEADER}
                http_filters: *http_filters
                route_config: *route_config
  clusters:
`},
		}
	}
}

// fitsHTTP3 picks the cases that are played over HTTP/3: the plain ones, what clients say that they are and
// where they come from, and repeated Authorization. (Over a library, which reads paths itself.)
func fitsHTTP3(c testCase) bool { return fitsHTTP2(c) && slices.Contains(http3Cases, c.number) }

var http3Cases = []int{1, 2, 11, 19, 22, 23, 26, 30, 31, 38, 41}

// http3Rows are the rows of HTTP/2 that the library can say over HTTP/3.
func http3Rows() []seamRow { return labelled(http2Rows(), "B11") }

// sendHTTP3 speaks HTTP/3. Names are in small letters on the wire, as the protocol has them.
func sendHTTP3(t *testing.T, from, addr, raw string) response {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	dialer := &quic.Transport{Conn: socket}
	defer dialer.Close()
	transport := &http3.Transport{
		DisableCompression: true,
		TLSClientConfig:    &tls.Config{ServerName: "app.example", InsecureSkipVerify: true}, // made a moment ago
		Dial: func(ctx context.Context, _ string, config *tls.Config, options *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				return nil, err
			}
			return dialer.DialEarly(ctx, to, config, options)
		},
	}
	defer transport.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	answer, err := transport.RoundTrip(requestOf(raw).WithContext(ctx))
	if err != nil {
		t.Logf("over HTTP/3: %v", err)
		return response{}
	}
	defer answer.Body.Close()
	if answer.ProtoMajor != 3 {
		t.Errorf("the answer came over %s", answer.Proto)
	}
	body, _ := io.ReadAll(answer.Body)
	return response{answer.StatusCode, answer.Header, string(body)}
}

// requestOf turns the text of a request into one for a library, its fields as they stand.
func requestOf(raw string) *http.Request {
	fields, body := fieldsOf("https", raw)
	r := &http.Request{URL: &url.URL{Scheme: "https"}, Header: http.Header{"User-Agent": nil}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
	for _, f := range fields {
		switch f.Name {
		case ":method":
			r.Method = f.Value
		case ":authority":
			r.Host, r.URL.Host = f.Value, f.Value
		case ":path":
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(f.Value, "?")
		case ":scheme":
		default:
			r.Header[http.CanonicalHeaderKey(f.Name)] = append(r.Header[http.CanonicalHeaderKey(f.Name)], f.Value)
		}
	}
	return r
}
