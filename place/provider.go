package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"devicegate/safetext"
)

const (
	placeholder    = "{ip}"
	defaultTimeout = 2 * time.Second
	maxBody        = 16 << 10 // bytes
	maxHeader      = 16 << 10 // bytes
	maxTrouble     = 300      // bytes of an error's text
)

// ErrURL means: the address that geo.http_url gives cannot be used. The text never shows the address, which may
// carry a key.
var ErrURL = errors.New("geo.http_url cannot be used")

const msgProvider = "geo.http_url does not answer; it is left alone for a while and places stay unknown"

// provider is who is asked over HTTP.
type provider struct {
	url     string // with {ip}
	timeout time.Duration
	client  *http.Client
	now     func() time.Time
	notes   *notes
	pause   pause
	answers *answers
}

func newProvider(template string, timeout time.Duration, now func() time.Time, n *notes) (*provider, error) {
	if err := checkURL(template); err != nil {
		return nil, err
	}
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &provider{
		url: template, timeout: timeout, client: newClient(timeout),
		now: now, notes: n, answers: newAnswers(now),
	}, nil
}

// checkURL demands {ip} where it is only a value: in the path or the query. In the host it would let a client choose
// who is asked; net/url takes no braces there.
func checkURL(template string) error {
	u, err := url.Parse(template)
	switch {
	case err != nil || u.Host == "":
		return fmt.Errorf("%w: it is no absolute URL", ErrURL)
	case u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%w: its scheme is neither https nor http", ErrURL)
	case !strings.Contains(u.Path+u.RawQuery, placeholder):
		return fmt.Errorf("%w: put %s where the address belongs, as in https://ipapi.co/{ip}/json/", ErrURL, placeholder)
	}
	return nil
}

// newClient trusts the provider with nothing but one small answer.
func newClient(timeout time.Duration) *http.Client {
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	return &http.Client{
		// Followed, a redirect would carry the address of a user, and our request, to any host, one behind the
		// firewall included.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // without Proxy: nothing here reads the environment
			// A connection can be waited for longer than the request that wanted it.
			DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:    timeout,
			DisableCompression:     true, // so that maxBody is the size of what is read, not of what it was packed from
			MaxResponseHeaderBytes: maxHeader,
			MaxConnsPerHost:        maxAsking,
			MaxIdleConnsPerHost:    maxAsking,
			IdleConnTimeout:        time.Minute,
			Protocols:              http1, // a request at a time a connection needs no more
		},
	}
}

// wants reports whether it makes sense to ask about ip now: it has not said that it does not know, and it is
// not left alone.
func (p *provider) wants(ip netip.Addr) bool {
	_, answered := p.answers.get(ip)
	_, over := p.pause.over(p.now())
	return !answered && over
}

// ask asks about a public address and keeps the answer. It returns within the timeout, at once when ctx ends.
func (p *provider) ask(ctx context.Context, ip netip.Addr) Place {
	round, over := p.pause.over(p.now())
	if !over {
		return Place{}
	}
	body, wait, err := p.fetch(ctx, ip)
	var place Place
	if err == nil {
		place, err = decode(body)
	}
	if ctx.Err() != nil {
		return Place{} // we end, it did not fail
	}
	if err != nil {
		p.pause.failed(round, p.now(), wait)
		p.notes.tell(msgProvider, trouble(err))
		return Place{}
	}
	p.pause.worked(round)
	p.answers.put(ip, place)
	return place
}

// fetch returns the body of the answer about ip, or how long the provider wants to be left alone.
func (p *provider) fetch(ctx context.Context, ip netip.Addr) (body []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.ReplaceAll(p.url, placeholder, ip.String()), nil)
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "devicegate")
	res, err := p.client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		if res.StatusCode == http.StatusTooManyRequests {
			wait = retryAfter(res.Header, p.now())
		}
		return nil, wait, fmt.Errorf("the provider answered with status %d", res.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err == nil && len(body) > maxBody {
		err = fmt.Errorf("the answer has more than %d bytes", maxBody)
	}
	return body, 0, err
}

// trouble makes err fit for a log: without the URL, which carries the user's address and maybe a key, and with a
// bounded text, since net/http quotes what a server sent.
func trouble(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return errors.New(safetext.Bound(err.Error(), maxTrouble))
}
