package certificate_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
	"time"

	"devicegate/certificate/certificatetest"
)

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// patience is how long a handshake may take on this machine.
const patience = 20 * time.Second

// client is the configuration of a client that knows the server's authority and shows a certificate, or none.
func (f *folder) client(shows *certificatetest.Pair) *tls.Config {
	c := &tls.Config{RootCAs: f.ca.Pool(), ServerName: "gate.example", MinVersion: tls.VersionTLS10}
	if shows != nil {
		// Whatever the server asks for: a thief does not stop to see whether it is wanted.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown := shows.TLS()
			return &shown, nil
		}
	}
	return c
}

// meet connects a client to a server, which says one word, and returns what the client sees. The error is
// either side's: in TLS 1.3 a client learns only by the first answer that it was refused.
func meet(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	if client.ServerName == "" {
		client.ServerName = "gate.example"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- serveOne(l, server) }()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	_ = near.SetDeadline(time.Now().Add(patience))
	conn := tls.Client(near, client)
	word := make([]byte, 1)
	_, err = conn.Read(word)
	state := conn.ConnectionState()
	_ = near.Close()
	if serverErr := <-served; err == nil {
		err = serverErr
	}
	return state, err
}

// serveOne says one word to the first client.
func serveOne(l net.Listener, config *tls.Config) error {
	far, err := l.Accept()
	if err != nil {
		return err
	}
	defer far.Close()
	_ = far.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(tls.Server(far, config), "!")
	return err
}

func TestVersions(t *testing.T) {
	f := files(t, nil)
	s := f.open(t)
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		client := f.client(nil)
		client.MinVersion, client.MaxVersion = version, version
		if state, err := meet(t, s.Config(), client); (err == nil) != want || want && state.Version != version {
			t.Errorf("%s: %v, want it taken: %v", tls.VersionName(version), err, want)
		}
	}
}

func TestALPN(t *testing.T) {
	f := files(t, nil)
	for _, c := range []struct {
		server, client []string
		want           string
		refused        bool
	}{
		{server: []string{"h2", "http/1.1"}, client: []string{"http/1.1", "h2"}, want: "h2"},
		{server: []string{"h2", "http/1.1"}, client: []string{"http/1.1"}, want: "http/1.1"},
		{server: []string{"h2", "http/1.1"}},
		{server: []string{"h2"}, client: []string{"h2"}, want: "h2"},
		{server: []string{"h2"}, client: []string{"acme-tls/1"}, refused: true}, // RFC 7301 section 3.2
		// crypto/tls takes this for a client that knows no ALPN, and gRPC refuses those itself.
		{server: []string{"h2"}, client: []string{"http/1.1"}},
	} {
		client := f.client(nil)
		client.NextProtos = c.client
		state, err := meet(t, f.open(t, c.server...).Config(), client)
		if (err != nil) != c.refused || state.NegotiatedProtocol != c.want && !c.refused {
			t.Errorf("%q meets %q: %q, %v", c.client, c.server, state.NegotiatedProtocol, err)
		}
	}
}

// TestClients: who is served where client certificates are demanded.
func TestClients(t *testing.T) {
	ca := certificatetest.Authority(t, "clients")
	between := ca.Intermediate(t, "between")
	impostor := certificatetest.Authority(t, "clients") // by name the same
	good := ca.Issue(t, "proxy")
	stolen := &certificatetest.Pair{Cert: good.Cert, Key: impostor.Key}
	soon := func(c *x509.Certificate) { c.NotBefore = c.NotAfter.Add(-time.Minute) }
	f := files(t, ca)
	s := f.open(t, "h2", "http/1.1")
	for _, c := range []struct {
		name   string
		shows  *certificatetest.Pair
		served bool
	}{
		{"a good one", good, true},
		{"for clients alone", ca.Issue(t, "proxy", certificatetest.For(x509.ExtKeyUsageClientAuth)), true},
		{"for nothing in particular", ca.Issue(t, "proxy", certificatetest.For()), true}, // RFC 5280 section 4.2.1.12
		{"none", nil, false},
		{"of another authority", certificatetest.Authority(t, "other").Issue(t, "proxy"), false},
		{"of another authority of the same name", impostor.Issue(t, "proxy"), false},
		{"of the authority of servers", f.ca.Issue(t, "proxy"), false},
		{"our own", f.pair, false},
		{"signed by itself", certificatetest.SelfSigned(t, "proxy"), false},
		{"expired", ca.Issue(t, "proxy", certificatetest.Expired), false},
		{"not good yet", ca.Issue(t, "proxy", soon), false},
		{"for servers alone", ca.Issue(t, "proxy", certificatetest.For(x509.ExtKeyUsageServerAuth)), false},
		{"signed by a client", good.Issue(t, "proxy"), false},
		{"a good one without its key", stolen, false},
		{"of an authority below, which is not shown", between.Issue(t, "proxy"), false},
	} {
		for name, version := range versions {
			client := f.client(c.shows)
			client.MaxVersion = version
			if _, err := meet(t, s.Config(), client); (err == nil) != c.served {
				t.Errorf("%s over %s: %v, want it served: %v", c.name, name, err, c.served)
			}
		}
	}
}

// TestNobodyIsAsked for a certificate where none is demanded: people's browsers would open a dialogue.
func TestNobodyIsAsked(t *testing.T) {
	f := files(t, nil)
	client := f.client(nil)
	client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		t.Error("the client is asked for a certificate")
		return &tls.Certificate{}, nil
	}
	if _, err := meet(t, f.open(t).Config(), client); err != nil {
		t.Error(err)
	}
}
