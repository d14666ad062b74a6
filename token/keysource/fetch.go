package keysource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"devicegate/safetext"
)

const (
	fetchTimeout = 10 * time.Second // for all of it, to the last byte of the body
	maxHeader    = 32 << 10         // bytes
	maxShownURL  = 200              // bytes, in messages
	maxShownText = 300              // bytes of an error that may quote the server
)

// remote is an address that publishes a JWK set.
type remote struct {
	address string
	shown   string // for messages: without the query, which may hold an API key
	client  *http.Client
}

func (s *Source) openURL() error {
	o := &s.options
	u, err := parseURL(o.JWKSURL)
	if err != nil {
		return fmt.Errorf("jwks_url: %w", err)
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	s.remote = &remote{address: u.String(), shown: shown(u), client: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       fetchTimeout,
	}}
	s.unknown = make(chan struct{}, 1)
	s.fail(fmt.Errorf("they have not been fetched from %s yet", s.remote.shown))
	return nil
}

// fail says why there are no keys.
func (s *Source) fail(err error) {
	err = fmt.Errorf("there are no keys of the issuer %q: %w", s.options.Name, err)
	s.trouble.Store(&err)
}

// parseURL demands an address that nobody on the way can answer for: https, or http within this machine.
func parseURL(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil { // whose text quotes the address
		return nil, errors.New("it is no URL: https://host/path is needed")
	}
	switch {
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it names no host: https://host/path is needed")
	case u.User != nil:
		return nil, errors.New("it holds a user name or password, which it must not")
	case u.Fragment != "" || u.RawFragment != "":
		return nil, errors.New("it has a part after #, which is never sent: take it out")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return nil, errors.New("it is http to another machine, and whoever is on the way could put in keys of their own: https is needed")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("its scheme is %.20q: https is needed", u.Scheme)
	}
	return u, nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// shown returns what messages may say of u.
func shown(u *url.URL) string {
	bare := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return safetext.Bound(bare.String(), maxShownURL)
}

// newTransport returns a transport for one source. Requests are minutes apart, so no connection is kept, and a
// change of the address in DNS counts at once. Compressed answers are not asked for: the bound of the body would
// be one of the wrong thing. The environment's proxy is used, but never towards this machine.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		Protocols:              protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
		TLSHandshakeTimeout:    fetchTimeout,
	}
}

// fetch asks once and returns the body, of one that is too long as much as shows it. Its errors hold neither the query of the address nor more than a
// line of what the server says.
func (r *remote) fetch(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.address, nil)
	if err != nil {
		return nil, errors.New("the address makes no request")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "devicegate")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, bounded(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := acceptable(response); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("the answer broke off: %w", bounded(err))
	}
	return content, nil
}

func acceptable(response *http.Response) error {
	if location := response.Header.Get("Location"); response.StatusCode/100 == 3 && location != "" {
		target := "an address that is none"
		if u, err := response.Request.URL.Parse(location); err == nil {
			target = shown(u)
		}
		return fmt.Errorf("it answers %d and points to %s: redirects are not followed, name the right address itself", response.StatusCode, target)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %d instead of 200", response.StatusCode)
	}
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return fmt.Errorf("its answer is compressed (%.20q) although that was not asked for", encoding)
	}
	return nil
}

// bounded takes the address, with its query, off err, and bounds what is left.
func bounded(err error) error {
	var urlError *url.Error
	if errors.As(err, &urlError) {
		if urlError.Timeout() {
			return fmt.Errorf("there was no whole answer within %s", fetchTimeout)
		}
		err = urlError.Err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("there was no whole answer within %s", fetchTimeout)
	}
	return errors.New(safetext.Bound(err.Error(), maxShownText))
}
