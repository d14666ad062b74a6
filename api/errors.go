package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"devicegate/db"
	"devicegate/device"
	"devicegate/lockout"
	"devicegate/login"
	"devicegate/problem"
	"devicegate/reason"
	"devicegate/token"
)

// refused is a refusal for one of the check's reasons.
func refused(why reason.Reason) error { return &login.RefusedError{Reason: why} }

var errNotFound = errors.New("not found")

// answers maps the errors that need no more than a fixed answer. Whatever is not here and not in toProblem
// is a 500.
var answers = []struct {
	err     error
	problem problem.Problem
}{
	{login.ErrNoActiveAccount, problem.New(http.StatusUnauthorized, "no_active_account", "No active account found with the given credentials.")},
	{login.ErrTokenNotValid, problem.New(http.StatusUnauthorized, "token_not_valid", "Token is invalid or expired.")},
	{device.ErrMaxDevices, problem.New(http.StatusForbidden, "max_devices", "The account is signed in on as many devices as allowed. Sign one of them out first.")},
	{device.ErrNotFound, notFound},
	{login.ErrNoUser, notFound},
	{errNotFound, notFound},
	{echo.ErrNotFound, notFound},
	{device.ErrEndedForGood, problem.New(http.StatusConflict, "conflict", "The device was ended, and a device that was ended does not come back.")},
	{device.ErrOfAnother, problem.New(http.StatusConflict, "conflict", "The device belongs to another user.")},
	{device.ErrNameTaken, problem.New(http.StatusConflict, "conflict", "A local user has the name that this user would have here.")},
	{login.ErrForeignRoles, problem.New(http.StatusConflict, "conflict", "The roles of this user come with the tokens of his issuer, until he has got some of ours.")},
	{login.ErrLastAdmin, problem.New(http.StatusConflict, "conflict", "You are the last enabled admin. Make another one first.")},
	{lockout.ErrNotFound, notFound},
	{token.ErrTooManyKeys, problem.New(http.StatusConflict, "conflict", "So many signing keys are alive already. Wait until the old ones retire, or retire them all now.")},
	{token.ErrKeyFile, problem.New(http.StatusConflict, "conflict", "The signing keys are in tokens.signing_key_file. Put the new key first in that file, and keep the old one below it for a while.")},
	{token.ErrNoKeys, problem.OfReason(http.StatusServiceUnavailable, reason.KeysUnavailable)},
	{login.ErrUserExists, problem.New(http.StatusConflict, "conflict", "A user of that name, or of another spelling of it, exists.")},
	{errTooLarge, problem.New(http.StatusRequestEntityTooLarge, "too_large", "The body is over 16 KiB.")},
	{errMediaType, problem.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json.")},
	{errPacked, problem.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as it is, without Content-Encoding.")},
	{echo.ErrMethodNotAllowed, problem.New(http.StatusMethodNotAllowed, "method_not_allowed", "This path does not answer that method; Allow names those it does.")},
	{login.ErrBusy, problem.New(http.StatusServiceUnavailable, "busy", "Too many sign-ins at the moment. Try again in a few seconds.")},
	{db.ErrUnavailable, storeUnavailable},
	{db.ErrUnknown, storeUnavailable},
}

var (
	notFound         = problem.New(http.StatusNotFound, "not_found", "Not found.")
	storeUnavailable = problem.OfReason(http.StatusServiceUnavailable, reason.StoreUnavailable)
	internal         = problem.New(http.StatusInternalServerError, "internal", "Something went wrong here. The service's log says what.")
)

// toProblem is the one place that turns an error into an answer.
func toProblem(err error) problem.Problem {
	var (
		bad     *invalidError
		parse   *parseError
		refusal *login.RefusedError
		rule    *device.RuleError
		wait    *login.WaitError
	)
	switch {
	case errors.As(err, &wait):
		return ofWait(wait)
	case errors.As(err, &bad):
		p := problem.New(http.StatusBadRequest, "invalid", "The request cannot be accepted; errors says what is wrong with it.")
		p.Errors = bad.faults
		return p
	case errors.As(err, &parse):
		return problem.New(http.StatusBadRequest, "parse_error", parse.detail)
	case errors.As(err, &refusal):
		return ofRefusal(refusal.Reason)
	case errors.As(err, &rule):
		return problem.New(http.StatusForbidden, rule.Code, rule.Detail)
	}
	for _, k := range answers {
		if errors.Is(err, k.err) {
			return k.problem
		}
	}
	return internal
}

// ofWait says how long to wait. The sentence is the same for a name that nobody has.
func ofWait(wait *login.WaitError) problem.Problem {
	text := "Too many failed sign-ins."
	if wait.Reason == login.Throttled {
		text = "Request was throttled."
	}
	return problem.New(http.StatusTooManyRequests, wait.Reason, fmt.Sprintf("%s Expected available in %d seconds.", text, seconds(wait.RetryAfter)))
}

// seconds rounds up, so that who waits as long as he was told has waited long enough.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// retryAfter returns how long the one who was refused has to wait, where waiting helps.
func retryAfter(err error, p problem.Problem) int {
	var (
		rule *device.RuleError
		wait *login.WaitError
	)
	switch {
	case errors.As(err, &rule):
		return seconds(rule.RetryAfter)
	case errors.As(err, &wait):
		return seconds(wait.RetryAfter)
	case p.Code == "busy":
		return 5
	case p.Status == http.StatusServiceUnavailable:
		return 1
	}
	return 0
}

// ofRefusal writes a check's reason in the API's terms: what is wrong with a token in itself is told no
// further, facts about device and user keep their word.
func ofRefusal(why reason.Reason) problem.Problem {
	switch why {
	case reason.NoToken, reason.BadAuthorization:
		return problem.New(http.StatusUnauthorized, "not_authenticated", problem.Detail(why))
	case reason.TokenMalformed, reason.TokenUnverified, reason.TokenExpired, reason.TokenNotYetValid,
		reason.TokenWrongType, reason.TokenWrongAudience, reason.TokenLivesTooLong:
		return problem.New(http.StatusUnauthorized, "token_not_valid", problem.Detail(why))
	}
	switch why.Outcome() {
	case reason.Unauthenticated:
		return problem.OfReason(http.StatusUnauthorized, why)
	case reason.Unavailable:
		return problem.OfReason(http.StatusServiceUnavailable, why)
	default:
		return problem.OfReason(http.StatusForbidden, why)
	}
}

// writeError is echo's error handler.
func (s *server) writeError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p := toProblem(err)
	if p.Status == http.StatusInternalServerError {
		s.Log.Error().Err(err).Str("method", c.Request().Method).Str("route", c.Path()).Msg("request failed")
	}
	h := c.Response().Header()
	if wait := retryAfter(err, p); wait > 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	switch {
	case p.Code == "no_active_account", p.Code == "not_authenticated":
		h.Set("WWW-Authenticate", `Bearer realm="devicegate"`)
	case p.Status == http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="devicegate", error="invalid_token"`)
	}
	_ = c.Blob(p.Status, problem.ContentType, p.JSON()) // a client that is gone needs no answer
}
