package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/config"
	"devicegate/db/bolt"
	"devicegate/password"
	"devicegate/problem"
	"devicegate/server"
)

// admin speaks to the administration: over the socket of the running service, or, where nothing listens,
// to the same handler on the closed file. So every command works either way, by the same rules.
type admin struct {
	client *http.Client
	close  func() error
}

// dialing returns a transport that connects to address whatever the URL's host says.
func dialing(address config.Address) http.RoundTripper {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, address.Network, address.Addr)
		},
	}
}

// opener opens the closed file.
type opener func(context.Context, *config.Config) (*admin, error)

// openAdmin connects to the running service, or opens the file.
func openAdmin(ctx context.Context, cfg *config.Config, open opener) (*admin, error) {
	a, err := dialService(ctx, cfg)
	if a != nil || err != nil {
		return a, err
	}
	a, err = open(ctx, cfg)
	if errors.Is(err, bolt.ErrInUse) {
		return nil, fmt.Errorf("%s is in use by another process, but nobody answers on the admin socket %s: is admin.socket the one that the service was started with?", cfg.Store.Path, cfg.AdminSocket())
	}
	return a, err
}

// dialService connects to the running service; nil where nothing listens.
func dialService(ctx context.Context, cfg *config.Config) (*admin, error) {
	socket := config.Address{Network: "unix", Addr: cfg.AdminSocket()}
	if err := ownSocket(socket.Addr); err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, socket.Network, socket.Addr)
	if err == nil {
		_ = conn.Close()
		return &admin{client: &http.Client{Transport: dialing(socket)}, close: func() error { return nil }}, nil
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	return nil, fmt.Errorf("the admin socket %s cannot be opened: %w", socket.Addr, err)
}

// openFile works on the closed file, without what only sign-ins and checks need.
func openFile(ctx context.Context, cfg *config.Config) (*admin, error) {
	return openFileWith(ctx, cfg, server.Offline())
}

func openFileWith(ctx context.Context, cfg *config.Config, options ...server.Option) (*admin, error) {
	params := cfg.Passwords.Argon2id
	hasher := password.Inline(password.Params{Memory: params.Memory, Iterations: params.Iterations, Parallelism: params.Parallelism})
	s, err := server.Open(ctx, cfg, zerolog.Nop(), append(options, server.WithHasher(hasher))...)
	if err != nil {
		return nil, err
	}
	if err := s.Fill(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &admin{client: &http.Client{Transport: inProcess{s.Admin(activity.ByFile)}}, close: s.Close}, nil
}

// inProcess answers requests with a handler of this process.
type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	t.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// answerError is a refusal by the administration.
type answerError struct{ problem.Problem }

func (e *answerError) Error() string {
	text := e.Detail
	if len(e.Errors) > 0 {
		text = ""
		for i, f := range e.Errors {
			if i > 0 {
				text += " "
			}
			text += f.Detail
		}
	}
	return text
}

// orNo turns the refusal of what does not exist into the answer no, with this text.
func orNo(err error, format string, args ...any) error {
	var refusal *answerError
	if errors.As(err, &refusal) && refusal.Status == http.StatusNotFound {
		return &noError{fmt.Sprintf(format, args...)}
	}
	return err
}

// maxPage is how much the administration answers at once.
const maxPage = 500

// eachPage reads a listing page by page, up to limit results (0: all), until each returns false.
func eachPage[T any](ctx context.Context, a *admin, path string, query url.Values, limit int, each func([]T) (bool, error)) error {
	if query = maps.Clone(query); query == nil {
		query = url.Values{}
	}
	for left := limit; ; {
		n := maxPage
		if limit > 0 {
			n = min(n, left)
		}
		query.Set("limit", strconv.Itoa(n))
		var page struct {
			Results []T
			Next    *string
		}
		if err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		left -= len(page.Results)
		more, err := each(page.Results)
		if err != nil || !more || page.Next == nil || limit > 0 && left <= 0 {
			return err
		}
		query.Set("cursor", *page.Next)
	}
}

// call sends body (nil for none) as JSON and reads the answer into out (nil for none).
func (a *admin) call(ctx context.Context, method, path string, body, out any) error {
	var sent io.Reader = http.NoBody
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, sent)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("the service did not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		e := &answerError{}
		if err := json.NewDecoder(resp.Body).Decode(&e.Problem); err != nil {
			return fmt.Errorf("the service answered %s", resp.Status)
		}
		return e
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
