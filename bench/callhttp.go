package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// What a request that is checked looks like. The address is one that documentation may use.
const (
	host      = "app.example.com"
	path      = "/api/v1/orders/4711?expand=lines"
	client    = "203.0.113.9"
	requestID = "1f0b7c2e-58a4-4d1e-9f3c-2a6b8d0e4c71"
	userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36"
)

// httpCaller asks over one kept-alive connection of its own, as Traefik's ForwardAuth does. It writes
// requests that are ready, because net/http's client costs more than the server that is measured.
type httpCaller struct {
	conn     net.Conn
	reader   *bufio.Reader
	requests map[string][]byte // of every device, by uid; read only
}

var _ caller = (*httpCaller)(nil)

// callTimeout bounds one check; none is ever near it.
const callTimeout = 10 * time.Second

func (c *httpCaller) check(_ context.Context, d device) (bool, error) {
	if err := c.conn.SetDeadline(time.Now().Add(callTimeout)); err != nil {
		return false, err
	}
	if _, err := c.conn.Write(c.requests[d.UID]); err != nil {
		return false, err
	}
	resp, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, nil
}

// dialHTTP opens conns connections with one caller each. hangUp closes them.
func dialHTTP(address string, conns int, requests map[string][]byte) (callers []caller, hangUp func(), err error) {
	var open []net.Conn
	hangUp = func() {
		for _, c := range open {
			_ = c.Close()
		}
	}
	for range conns {
		c, err := net.Dial("tcp", address)
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		open = append(open, c)
		callers = append(callers, &httpCaller{conn: c, reader: bufio.NewReader(c), requests: requests})
	}
	return callers, hangUp, nil
}

// checkRequests writes the request of every device: the X-Forwarded- family as Traefik sends it, with the
// client's own headers.
func checkRequests(devices []device) map[string][]byte {
	requests := make(map[string][]byte, len(devices))
	for _, d := range devices {
		requests[d.UID] = fmt.Appendf(nil, "GET /auth/traefik HTTP/1.1\r\nHost: 127.0.0.1\r\n"+
			"X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: %s\r\n"+
			"X-Forwarded-Uri: %s\r\nX-Forwarded-For: %s\r\nAuthorization: Bearer %s\r\n"+
			"User-Agent: %s\r\nAccept: application/json\r\nAccept-Encoding: gzip, deflate, br\r\n"+
			"Accept-Language: en-GB,en;q=0.9\r\nX-Request-Id: %s\r\n\r\n",
			host, path, client, d.Token, userAgent, requestID)
	}
	return requests
}
