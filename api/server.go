package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"devicegate/activity"
	"devicegate/authz"
	"devicegate/clientaddr"
	"devicegate/device"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/reason"
	"devicegate/token"
)

// Options is what the API works with.
type Options struct {
	Login    *login.Service
	Tokens   authz.Tokens
	Devices  *device.Index
	Keys     *token.Keyring
	Trusted  clientaddr.Trusted
	BasePath string   // before every path; empty or "/gate"
	Origins  []string // of pages that may read the API's answers; not those of the administration
	Now      func() time.Time
	Log      zerolog.Logger

	// For devices of other issuers: the issuers' names, and how many devices a user may have at all.
	Issuers   []string
	HardLimit int

	// For explain: what a check would come to, without a trace, and the policy of a gRPC check that names none.
	Explain      func(authz.Request) authz.Explanation
	PolicyOfGRPC string

	// For accounts:
	Activity      *activity.Log
	Lockout       *lockout.Counters
	Passwords     login.Passwords
	CheckPassword func(name, password string) error   // nil when the user of that name may use it
	MakePassword  func() (password string, err error) // for accounts made without one
}

type server struct {
	Options
	untrusted untrusted
}

// New returns the handler of the API's listener.
func New(o Options) http.Handler {
	s := &server{Options: o}
	return crossOrigin(o.Origins, s.echo(o.BasePath, s.routes()))
}

// NewAdmin returns the handler of the admin socket, which asks nobody who he is: everything is done in the
// name of actor, one of activity's.
func NewAdmin(o Options, actor string) http.Handler {
	s := &server{Options: o}
	return s.echo("", s.adminRoutes(anybody(actor)))
}

// NewRemoteAdmin returns the handler of admin.address, which demands the access token of a user with the
// role admin.
func NewRemoteAdmin(o Options) http.Handler {
	s := &server{Options: o}
	return s.echo("", s.adminRoutes(s.adminByToken))
}

// route is one operation of openapi.yaml.
type route struct {
	method, path string
	handle       echo.HandlerFunc
}

func (s *server) routes() []route {
	return []route{
		{http.MethodPost, "/api/token", s.signIn},
		{http.MethodPost, "/api/token/refresh", s.refreshToken},
		{http.MethodPost, "/api/token/verify", s.verifyToken},
		{http.MethodPost, "/api/token/revoke", s.revokeToken},
		{http.MethodPost, "/api/password", s.authenticated(s.changePassword)},
		{http.MethodPost, "/api/password/reset", s.resetPassword},
		{http.MethodGet, "/trusted-devices", s.authenticated(s.listDevices)},
		{http.MethodPost, "/trusted-devices/logout", s.authenticated(s.logout)},
		{http.MethodPost, "/trusted-devices/revoke-all", s.authenticated(s.revokeAllDevices)},
		{http.MethodGet, "/trusted-devices/:device_uid", oneDevice(s.authenticated(s.getDevice))},
		{http.MethodPatch, "/trusted-devices/:device_uid", oneDevice(s.authenticated(s.updateDevice))},
		{http.MethodDelete, "/trusted-devices/:device_uid", oneDevice(s.authenticated(s.deleteDevice))},
		{http.MethodGet, "/login-activity", s.authenticated(s.listOwnActivity)},
		{http.MethodGet, "/.well-known/jwks.json", s.jwks},
		{http.MethodGet, "/openapi.json", s.openapi},
	}
}

func (s *server) adminRoutes(enter entrance) []route {
	return []route{
		{http.MethodGet, "/admin/users", enter.to(s.listUsers)},
		{http.MethodPost, "/admin/users", enter.to(s.createUser)},
		{http.MethodGet, "/admin/users/:id", enter.to(s.getUser)},
		{http.MethodPatch, "/admin/users/:id", enter.to(s.updateUser)},
		{http.MethodDelete, "/admin/users/:id", enter.to(s.deleteUser)},
		{http.MethodPost, "/admin/users/:id/password-reset", enter.to(s.startReset)},
		{http.MethodGet, "/admin/users/:id/devices", enter.to(s.listUserDevices)},
		{http.MethodDelete, "/admin/users/:id/devices", enter.to(s.endUserDevices)},
		{http.MethodPatch, "/admin/users/:id/devices/:device_uid", enter.to(s.updateUserDevice)},
		{http.MethodDelete, "/admin/users/:id/devices/:device_uid", enter.to(s.endUserDevice)},
		{http.MethodGet, "/admin/devices", enter.to(s.listAllDevices)},
		{http.MethodPost, "/admin/devices", enter.to(s.registerDeviceByClaim)},
		{http.MethodPost, "/admin/devices/sweep", enter.to(s.sweepDevices)},
		{http.MethodGet, "/admin/devices/:device_uid", anyDevice(enter.to(s.findDevice))},
		{http.MethodPut, "/admin/devices/:device_uid", anyDevice(enter.to(s.registerDevice))},
		{http.MethodGet, "/admin/login-activity", enter.to(s.listActivity)},
		{http.MethodGet, "/admin/keys", enter.to(s.listKeys)},
		{http.MethodPost, "/admin/keys/rotate", enter.to(s.rotateKeys)},
		{http.MethodPost, "/admin/explain", enter.to(s.explain)},
		{http.MethodGet, "/admin/lockouts", enter.to(s.listLockouts)},
		{http.MethodDelete, "/admin/lockouts/:id", enter.to(s.clearLockout)},
	}
}

func (s *server) echo(base string, routes []route) http.Handler {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	// Echo believes X-Forwarded-For of everybody unless told otherwise (CVE-2026-118653).
	e.IPExtractor = func(r *http.Request) string { return s.clientOf(r).IP.String() }
	e.HTTPErrorHandler = s.writeError
	e.Use(s.recovered, noStore)
	for _, r := range routes {
		e.Add(r.method, base+r.path, r.handle)
		e.Add(r.method, base+r.path+"/", r.handle)
	}
	return e
}

// noStore keeps every answer out of caches: they carry credentials or what is true only now.
func noStore(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		c.Response().Header().Set("X-Content-Type-Options", "nosniff")
		return next(c)
	}
}

// recovered turns a panic into a 500, so that one bad request costs one request.
func (s *server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return next(c)
	}
}

// handler is a call of somebody who is signed in.
type handler func(ctx context.Context, c echo.Context, caller device.Subject) error

// authenticated lets a call pass that carries a live access token: by the same rule as a check.
func (s *server) authenticated(next handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		if _, err := s.caller(c); err != nil {
			return err
		}
		receive(c)
		caller, err := s.caller(c) // again: the body may have taken its time
		if err != nil {
			return err
		}
		if c.Request().Method == http.MethodGet {
			if err := noBody(c); err != nil {
				return err
			}
		}
		return next(c.Request().Context(), c, caller)
	}
}

// caller returns whose access token a request carries.
func (s *server) caller(c echo.Context) (device.Subject, error) {
	caller, why := authz.Authenticate(s.Tokens, s.Devices, c.Request().Header["Authorization"], s.clientOf(c.Request()).IP, s.Now())
	if why != reason.OK {
		return device.Subject{}, refused(why)
	}
	return caller, nil
}

// clientOf returns where a request came from.
func (s *server) clientOf(r *http.Request) login.Client {
	peer := clientaddr.OfConn(r.RemoteAddr)
	s.untrusted.note(s, peer, r.Header["X-Forwarded-For"])
	return login.Client{IP: s.Trusted.FromPeer(peer, r.Header["X-Forwarded-For"]), UserAgent: r.UserAgent()}
}

// secure reports whether the client reached us over https: by TLS, or by the word of a proxy of ours.
func (s *server) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	proto := r.Header["X-Forwarded-Proto"]
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	ours := local != nil && local.Network() == "unix" || s.Trusted.Contains(clientaddr.OfConn(r.RemoteAddr))
	return len(proto) == 1 && proto[0] == "https" && ours
}
