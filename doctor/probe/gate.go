package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Gate is the running gate, as its operator reaches it. The probes use what every operator and every user has:
// /admin/users on the socket and a sign-in. Nothing in the gate knows of them.
type Gate struct {
	Admin *http.Client // reaches /admin on whatever host
	API   *http.Client
	Base  string // of the API: scheme, host and base path

	// Operations reaches /metrics on whatever host; nil means that it is off.
	Operations *http.Client

	Now func() time.Time
}

const (
	// accountPrefix starts the names of accounts of the probes. What is left over of them is removed.
	accountPrefix = "devicegate-doctor-"
	// leftOver is the age at which an account of the probes belongs to a run that was killed.
	leftOver = 10 * time.Minute
	// deviceName is what the account's one device is called, in the account's history too.
	deviceName = "devicegate doctor"
	// maxAnswer is more than any answer that is read here has, in bytes.
	maxAnswer = 8 << 20
)

// account is the account of one run, with one device.
type account struct {
	gate    Gate
	ID      string
	Name    string
	Roles   []string
	Token   string // access
	Device  string
	removed bool
}

// seenDevice is what the gate says of a device.
type seenDevice struct {
	UID       string    `json:"device_uid"`
	LastIP    string    `json:"last_ip"`
	LastSeen  time.Time `json:"last_seen"`
	CreatedAt time.Time `json:"created_at"`
}

// open removes what earlier runs left, makes an account, and signs in as if from the address that the probes will
// come from, so that nothing is made of a change. On an error no account is left.
func (g Gate) open(ctx context.Context, roles []string, from netip.Addr) (*account, error) {
	if err := g.sweep(ctx); err != nil {
		return nil, err
	}
	a := &account{gate: g, Name: accountPrefix + newMark()[len(markStart):], Roles: roles}
	password, err := a.create(ctx)
	if err != nil {
		return nil, fmt.Errorf("making an account for the probes: %w", err)
	}
	err = a.signIn(ctx, password, from)
	if wait := retryAfter(err); wait > 0 && waited(ctx, wait) { // several runs within a minute are what an operator does
		err = a.signIn(ctx, password, from)
	}
	if err != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("signing in at the API: %w", err), a.remove(late))
	}
	return a, nil
}

// create makes the account and returns its password. The end of ctx does not end it: an account whose id nobody has
// heard could not be removed.
func (a *account) create(ctx context.Context) (password string, err error) {
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
	defer cancel()
	var made struct{ ID, Password string }
	if err := a.gate.admin(late, http.MethodPost, "/admin/users", map[string]any{"name": a.Name, "roles": a.Roles}, &made); err != nil {
		return "", err
	}
	a.ID = made.ID
	return made.Password, nil
}

func (a *account) signIn(ctx context.Context, password string, from netip.Addr) error {
	body, err := json.Marshal(map[string]string{"username": a.Name, "password": password, "device_name": deviceName})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.gate.Base+"/api/token", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Forwarded-For", from.String())
	var signedIn struct {
		Access string `json:"access"`
		Device string `json:"device_uid"`
	}
	if err := send(a.gate.API, req, &signedIn); err != nil {
		return err
	}
	a.Token, a.Device = signedIn.Access, signedIn.Device
	return nil
}

// sweep removes accounts that a run left behind which was killed. Young ones may belong to a run beside this one.
func (g Gate) sweep(ctx context.Context) error {
	query := url.Values{"limit": {"500"}}
	for {
		var page struct {
			Results []struct {
				ID, Name  string
				CreatedAt time.Time `json:"created_at"`
			}
			Next *string
		}
		if err := g.admin(ctx, http.MethodGet, "/admin/users?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, u := range page.Results {
			if strings.HasPrefix(u.Name, accountPrefix) && g.Now().Sub(u.CreatedAt) > leftOver {
				if err := g.admin(ctx, http.MethodDelete, "/admin/users/"+u.ID, nil, nil); err != nil && !isGone(err) {
					return fmt.Errorf("removing the account %.60q that an earlier run left: %w", u.Name, err)
				}
			}
		}
		if page.Next == nil {
			return nil
		}
		query.Set("cursor", *page.Next)
	}
}

// device returns what the gate says of the account's device, and whether it still lives.
func (a *account) device(ctx context.Context) (seenDevice, bool, error) {
	var all []seenDevice
	if err := a.gate.admin(ctx, http.MethodGet, "/admin/users/"+a.ID+"/devices", nil, &all); err != nil {
		return seenDevice{}, false, err
	}
	for _, d := range all {
		if d.UID == a.Device {
			return d, true, nil
		}
	}
	return seenDevice{}, false, nil
}

func (a *account) setRoles(ctx context.Context, roles []string) error {
	a.Roles = roles
	return a.gate.admin(ctx, http.MethodPatch, "/admin/users/"+a.ID, map[string]any{"roles": append([]string{}, roles...)}, nil)
}

// endDevice ends the device. One that has ended already is no error.
func (a *account) endDevice(ctx context.Context) error {
	err := a.gate.admin(ctx, http.MethodDelete, "/admin/users/"+a.ID+"/devices/"+a.Device, nil, nil)
	if isGone(err) {
		return nil
	}
	return err
}

// remove removes the account with everything that is known of it. Once is enough.
func (a *account) remove(ctx context.Context) error {
	if a.removed {
		return nil
	}
	err := a.gate.admin(ctx, http.MethodDelete, "/admin/users/"+a.ID, nil, nil)
	if err != nil && !isGone(err) {
		return err
	}
	a.removed = true
	return nil
}

// refusal is an answer of the gate that is not the one asked for.
type refusal struct {
	status int
	detail string
	retry  time.Duration // after which it may be asked again; 0 where the answer does not say
}

func (e *refusal) Error() string { return fmt.Sprintf("status %d: %.200s", e.status, e.detail) }

// maxRetry is the longest that a run waits for leave to sign in.
const maxRetry = time.Minute

// retryAfter returns how long the gate asks whoever signs in to wait; 0: not at all, or longer than a run does.
func retryAfter(err error) time.Duration {
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusTooManyRequests || r.retry > maxRetry {
		return 0
	}
	return r.retry
}

// waited waits, and says whether ctx let it.
func waited(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func isGone(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

// admin makes a call of the administration.
func (g Gate) admin(ctx context.Context, method, path string, body, out any) error {
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
	return send(g.Admin, req, out)
}

// send sends a request and reads a JSON answer into out; nil for none.
func send(client *http.Client, req *http.Request, out any) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		var problem struct{ Detail string }
		_ = json.Unmarshal(answer, &problem)                       // what is no problem document has no detail
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // none: 0
		return &refusal{resp.StatusCode, problem.Detail, time.Duration(seconds) * time.Second}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}
