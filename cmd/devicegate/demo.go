package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"devicegate/activity"
	"devicegate/api"
	"devicegate/config"
	"devicegate/password"
	"devicegate/server"
)

const (
	demoUser     = "alice"
	demoPassword = "correct horse battery staple"
)

func (c *cli) demo() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See the point of it in a minute: needs nothing, keeps nothing",
		Long: `Start a throw-away gate with one user, who may have one device, and a small application behind it. Three
commands to try are printed. Everything is gone when it ends.`,
		Example: `  devicegate demo
  devicegate demo --listen 127.0.0.1:9000`,
		Args: args(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.runDemo(cmd.Context(), listen) },
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "`ADDRESS` of the demo")
	return cmd
}

func (c *cli) runDemo(ctx context.Context, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --listen", err)
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "devicegate-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := c.openDemo(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }() // what it kept is thrown away
	web := &http.Server{Handler: demoIngress(s), ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	fmt.Fprint(c.stdout, demoText("http://"+l.Addr().String()))
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// openDemo opens a gate with one user, in dir.
func (c *cli) openDemo(ctx context.Context, dir string) (*server.Server, error) {
	cfg := config.Default()
	cfg.Store.Path = filepath.Join(dir, "devicegate.db")
	cfg.Devices.MaxDevices = 1
	hasher := password.Inline(password.Default)
	s, err := server.Open(ctx, &cfg, c.logger(cfg.Log), server.WithHasher(hasher), server.WithVersion(versionWord()))
	if err != nil {
		return nil, err
	}
	if err := s.Fill(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	a := &admin{client: &http.Client{Transport: inProcess{s.Admin(activity.ByFile)}}}
	secret := demoPassword
	err = a.call(ctx, http.MethodPost, "/admin/users", api.NewUser{Name: demoUser, Password: &secret}, nil)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// demoIngress stands for a real ingress: it sends sign-in and devices to the API, and everything else to
// the application after it has asked the gate, just as Traefik's ForwardAuth does.
func demoIngress(s *server.Server) http.Handler {
	people, checks := s.API(), s.Checks()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, prefix := range []string{"/api/", "/trusted-devices", "/.well-known/", "/openapi.json"} {
			if strings.HasPrefix(r.URL.Path, prefix) {
				people.ServeHTTP(w, r)
				return
			}
		}
		answer := askGate(checks, r)
		if answer.Code != http.StatusOK {
			for name, values := range answer.Header() {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		}
		demoApplication(w, answer.Header())
	})
}

func askGate(checks http.Handler, r *http.Request) *httptest.ResponseRecorder {
	check := httptest.NewRequest(http.MethodGet, "/auth/traefik", nil)
	check.RemoteAddr = "127.0.0.1:1" // the ingress asks, not the client
	check.Header = http.Header{
		"Authorization":      r.Header["Authorization"],
		"X-Forwarded-Method": {r.Method}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {r.Host},
		"X-Forwarded-Uri": {r.RequestURI},
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		check.Header["X-Forwarded-For"] = []string{host}
	}
	answer := httptest.NewRecorder()
	checks.ServeHTTP(answer, check)
	return answer
}

// demoApplication is what stands behind the gate. It knows who asks from the gate's headers alone.
func demoApplication(w http.ResponseWriter, identity http.Header) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintf(w, "Hello from the application. The gate says who you are:\n  Remote-User: %s\n  Remote-Device: %s\n",
		identity.Get("Remote-User"), identity.Get("Remote-Device"))
}

func demoText(url string) string {
	signIn := fmt.Sprintf(`curl -s %s/api/token -H 'Content-Type: application/json' -d '{"username":"%s","password":"%s"}'`, url, demoUser, demoPassword)
	pass := fmt.Sprintf(`curl -i %s/hello -H "Authorization: Bearer $TOKEN"`, url)
	return fmt.Sprintf(`The demo gate is at %s, with a small application behind it and the user %s,
who may have one device. Try these in another terminal, in this order:

1. Sign in, and keep the access token:

   TOKEN=$(%s | sed 's/.*"access":"\([^"]*\)".*/\1/')

2. Pass the gate:

   %s

3. Sign in as from a second device, and see the first one refused at its next request, although its
   token is still valid (X-Auth-Reason: device_replaced):

   %s > /dev/null; %s

Ctrl-C ends the demo and removes everything.

`, url, demoUser, signIn, pass, signIn, pass)
}
