package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"devicegate/doctor"
)

// Via is a way through the operator's own proxy, and what has to hold on it.
type Via struct {
	// URL is http or https. Everything below its path is to be protected by Policy; the probes ask below it.
	URL *url.URL
	// Host is what the header Host says; "" means that of URL.
	Host string
	// Open is a path of the same proxy that asks no gate, such as /open/; "" means that none is probed.
	Open string
	// Listen is where the backend of the probes stands; "" means that nobody looks what reaches a backend.
	Listen string
	// Proxy is one of doctor.Proxies, for the fixes; "" means that it is found out.
	Proxy string

	Policy   Policy
	Identity Identity
	// Trusted are the hops that the gate steps over in X-Forwarded-For.
	Trusted []netip.Prefix

	// TLS is how the proxy is proved, for https. Its NextProtos are overwritten.
	TLS *tls.Config
	// Timeout bounds one request; it is positive.
	Timeout time.Duration

	Gate Gate
	// Log gets what the operator has to do, and what is going on.
	Log io.Writer
}

// Policy is what is known of the policy that the probed route is said to go by.
type Policy struct {
	Name string
	// Roles are such that an account with all of them meets the policy; empty: it asks for none.
	Roles []string
	// Anonymous and Preflight say that requests without a token, or preflights of that kind, pass as nobody.
	Anonymous, Preflight bool
	// Report says that the policy refuses nobody and names nobody.
	Report bool
	// RemovesToken says that the backend is not to get the token.
	RemovesToken bool
}

// Identity names the headers that tell a backend who is asking. Assertion may be "".
type Identity struct{ User, Roles, Device, Assertion string }

func (i Identity) names() []string {
	return slices.DeleteFunc([]string{i.User, i.Roles, i.Device, i.Assertion}, func(name string) bool { return name == "" })
}

// Report is what the probes showed.
type Report struct {
	Findings []doctor.Finding
	// Unproved are sentences about what the probes could not look at, and what it would take.
	Unproved []string
	Requests int
}

// The probes speak to whatever the operator routes to them, so what they may take has an end.
const (
	// MaxRequests is more than one run sends through the proxy.
	MaxRequests = 400
	// inFlight is how many probes are under way at once.
	inFlight = 4
	// routeWait is how long the route to --listen may take to be there: proxies take over a new configuration within a
	// second or two. It is looked for every routeLook, and has to be there routeSteady times in a row, because for
	// a moment nginx answers by the old and the new one.
	routeWait   = 5 * time.Second
	routeLook   = 200 * time.Millisecond
	routeSteady = 3
	// cleanUp is how long the removal of the account may take when everything else has been given up.
	cleanUp = 10 * time.Second
)

// Run sends the probes and says what they showed. An error means that no more can be said: the gate or the
// proxy does not answer. The account that it makes is removed in every case, also when ctx ends.
func (v Via) Run(ctx context.Context) (report Report, err error) {
	r, err := v.start()
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = r.backend.Close() }()
	if r.account, err = v.Gate.open(ctx, v.Policy.roles(), r.from); err != nil {
		return Report{}, err
	}
	defer func() {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUp)
		defer cancel()
		if gone := r.account.remove(late); gone != nil {
			err = errors.Join(err, fmt.Errorf("the account %s could not be removed; run devicegate user delete %[1]s: %w", r.account.Name, gone))
		}
	}()
	if err := r.probe(ctx); err != nil {
		return Report{Unproved: r.unproved}, err
	}
	report = r.report()
	if len(report.Findings) == 0 && r.stopped != nil {
		return report, r.stopped
	}
	return report, nil
}

// roles are those of the probes' account: what the policy demands, or one that stands for any.
func (p Policy) roles() []string {
	if len(p.Roles) > 0 {
		return p.Roles
	}
	return []string{"devicegate-doctor"}
}

// run is one round of probes.
type run struct {
	Via
	addr    string     // host:port of the proxy
	from    netip.Addr // where the probes come from
	path    string     // of the protected route, without a slash at its end
	open    string     // of the open route, with one, or ""
	http2   bool       // the proxy speaks it
	kind    string     // of the proxy; "" where nobody knows
	backend *Backend   // nil without Listen
	account *account

	looks    int              // requests that looked for the route
	passed   int              // the status of a request that the gate let pass; 0: none did
	stopped  error            // why the probes could show nothing, if nothing else is found
	played   []exchange       // in their order
	found    []doctor.Finding // by what needs no probe
	unproved []string
}

// start checks the way, opens the backend and finds out where the proxy sees the probes come from.
func (v Via) start() (*run, error) {
	r := &run{Via: v, addr: v.URL.Host, kind: v.Proxy, path: strings.TrimSuffix(v.URL.EscapedPath(), "/")}
	if v.URL.Port() == "" {
		r.addr = net.JoinHostPort(v.URL.Hostname(), map[string]string{"http": "80", "https": "443"}[v.URL.Scheme])
	}
	if v.Host == "" {
		r.Host = v.URL.Host
	}
	if v.Open != "" {
		r.open = strings.TrimSuffix(path.Clean("/"+v.Open), "/") + "/"
	}
	if err := r.findSource(); err != nil {
		return nil, fmt.Errorf("the proxy does not answer at %s: start it, or say another --via: %w", r.addr, err)
	}
	if v.Listen == "" {
		r.cannot("what reaches a backend (identity headers, spellings of paths and headers, X-Forwarded-*) was not looked at: route a path to --listen ADDR")
		return r, nil
	}
	b, err := ListenBackend(v.Listen)
	if err != nil {
		return nil, fmt.Errorf("--listen: %w", err)
	}
	r.backend = b
	fmt.Fprintf(v.Log, "The backend of the probes listens on %s. Route %s/ there for the test, through the same check as your application%s.\n",
		b.Addr(), r.path, map[bool]string{true: ", and " + r.open + " unchecked"}[r.open != ""])
	return r, nil
}

func (r *run) cannot(format string, args ...any) {
	r.unproved = append(r.unproved, fmt.Sprintf(format, args...))
}

func (r *run) finding(code, where, saw string) {
	r.found = append(r.found, r.fault(code, where, saw))
}

// probe goes through the phases. Each but the last leaves the account a little poorer.
func (r *run) probe(ctx context.Context) error {
	if err := r.baseline(ctx); err != nil {
		return err
	}
	tables := slices.Concat(r.tokenProbes(), r.requestProbes(), r.openProbes())
	if r.backend != nil {
		tables = append(tables, r.pathProbes()...)
		if r.passed != 0 {
			tables = append(tables, r.identityProbes()...)
		}
	}
	if err := r.play(ctx, r.inBoth(tables)); err != nil {
		return err
	}
	for _, phase := range []func(context.Context) error{r.keptDecision, r.address, r.withoutRoles, r.withoutDevice} {
		if err := phase(ctx); err != nil {
			return err
		}
	}
	return nil
}

// baseline asks once with nothing and once with the good token: the way has to be there before anything on it
// can be wrong.
func (r *run) baseline(ctx context.Context) error {
	r.awaitRoute(ctx)
	before := r.Gate.checks(ctx)
	nobody := r.one(ctx, r.nobodyProbe())
	if nobody.err != nil {
		return fmt.Errorf("the proxy at %s gives no HTTP answer: %w", r.addr, nobody.err)
	}
	r.http2 = r.speaksHTTP2(ctx)
	if r.kind == "" {
		r.kind = kindOf(nobody.response.header.Get("Server"), r.Gate.checks(ctx).since(before))
	}
	asked := r.Gate.checks(ctx)
	good := r.one(ctx, r.goodProbe())
	if err := r.looksGood(ctx, good, r.Gate.checks(ctx).since(asked)); err != nil {
		return err
	}
	if r.Policy.Report {
		r.finding("policy-report", good.where(), "the policy "+r.Policy.Name+" has mode: report")
	}
	return nil
}

// awaitRoute returns once the route leads to the backend of the probes, a refusal says that it goes through the
// gate, or routeWait is over. What it sends is not judged: it may have met the configuration before.
func (r *run) awaitRoute(ctx context.Context) {
	if r.backend == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, routeWait)
	defer cancel()
	look := time.NewTicker(routeLook)
	defer look.Stop()
	for steady := 0; ; {
		x := r.send(ctx, r.goodProbe())
		r.looks++
		refused := x.response.status == http.StatusUnauthorized || x.response.status == http.StatusForbidden
		if !refused && len(r.backend.arrivals(x.mark)) == 0 {
			steady = 0
		} else if steady++; steady == routeSteady {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

// looksGood judges the request that has to pass. Where it does not, whatever needs one that does cannot be proved.
func (r *run) looksGood(ctx context.Context, good exchange, counted counts) error {
	status, why := good.response.status, good.response.header.Get("X-Auth-Reason")
	arrived := len(r.arrivals(good)) > 0
	stopped := status == http.StatusUnauthorized || status == http.StatusForbidden || status/100 == 5
	if why == "" && stopped {
		why = counted.refusal()
	}
	if arrived || r.backend == nil && !stopped && status != 0 {
		r.passed = status
		return r.wasAsked(ctx, good)
	}
	if unready[why] {
		return fmt.Errorf("the gate answers %s: wait until devicegate healthcheck says ready", why)
	}
	if unprovable[why] {
		r.cannot("the policy refuses the account of the probes (%s), so that only refusals were looked at: probe a route whose policy has no such demand as well", why)
		return nil
	}
	r.cannot("the good token did not come through, so that only refusals were looked at")
	code, err := r.whyNot(ctx, status, why)
	if code == "" || err != nil {
		r.stopped = fmt.Errorf("%w: the answer to the good token has status %d", r.notRouted(status), status)
		return err
	}
	r.finding(code, good.where(), fmt.Sprintf("status %d, reason %.60q", status, why))
	return nil
}

// notRouted says what the operator has to do before anything can be shown.
func (r *run) notRouted(status int) error {
	if r.backend != nil {
		return errNotRouted
	}
	if status/100 == 5 {
		return errAppDown
	}
	return errNoAnswer
}

var (
	errAppDown  = errors.New("the gate lets the good token pass, and the application behind does not answer: start it, or be the backend with --listen")
	errNoAnswer = errors.New("the proxy gives the good token no HTTP answer: look into its log")
)

var errNotRouted = errors.New("what the gate lets pass does not come to the backend of the probes: route the path of --via to the address of --listen for the test")

// whyNot is the code of a finding that says why a good token does not come through. None: it was let through.
func (r *run) whyNot(ctx context.Context, status int, why string) (code string, err error) {
	if code := reasonCodes[why]; code != "" {
		return code, nil
	}
	if why != "" || status == http.StatusUnauthorized || status == http.StatusForbidden {
		return "good-token-refused", nil
	}
	seen, err := r.wasSeen(ctx)
	if seen || err != nil || status/100 != 5 {
		return "", err
	}
	return "gate-not-answering", nil
}

var unready = map[string]bool{"starting": true, "store_unavailable": true, "stale": true, "keys_unavailable": true}

// unprovable are the reasons that a new account of one address cannot do anything about.
var unprovable = map[string]bool{
	"device_too_new": true, "device_too_old": true, "network_not_allowed": true, "country_not_allowed": true, "device_compromised": true,
}

// reasonCodes are the findings that a refusal of a good token stands for.
var reasonCodes = map[string]string{
	"no_token": "token-not-shown", "request_incomplete": "wrong-endpoint", "policy_unknown": "policy-unknown",
	"peer_not_allowed": "peer-not-allowed", "role_missing": "policy-other",
}

// wasAsked looks whether the gate knows of the request that passed.
func (r *run) wasAsked(ctx context.Context, good exchange) error {
	seen, err := r.wasSeen(ctx)
	if err == nil && !seen && !r.Policy.Report {
		r.finding("gate-not-asked", good.where(), fmt.Sprintf("status %d, and the gate has not seen the token", good.response.status))
	}
	return err
}

// wasSeen reports whether the gate has let the device pass since it was made.
func (r *run) wasSeen(ctx context.Context) (bool, error) {
	d, there, err := r.account.device(ctx)
	return !there || d.LastSeen.After(d.CreatedAt), err
}

// keptDecision asks for one path with the good token, then without one: an answer that is kept by path, or a
// decision that is, serves the second.
func (r *run) keptDecision(ctx context.Context) error {
	if r.passed == 0 {
		return nil
	}
	first := r.goodProbe()
	first.mark = newMark()
	second := r.nobodyProbe()
	second.mark, second.sent, second.code = first.mark, "no token, on a path that was just let through", "decision-kept"
	r.one(ctx, first)
	r.one(ctx, second)
	return ctx.Err()
}

// address lies about where the probes come from, and asks the gate what it believed.
func (r *run) address(ctx context.Context) error {
	switch {
	case r.passed == 0 || r.Policy.Report:
		return nil
	case r.trusts(r.from):
		r.cannot("whether a client can choose its address was not looked at: the probes come from %s, which trusted_proxies names as a proxy; give --via an address that is not loopback", r.from)
		return nil
	}
	for _, lie := range addressLies {
		p := r.goodProbe()
		p.sent = lie.sent + " with another address"
		p.lines = append(p.lines, lie.lines...)
		x := r.one(ctx, p)
		d, there, err := r.account.device(ctx)
		if err != nil {
			return err
		}
		if !there {
			r.finding("client-address-from-client", x.where(), "the device was ended for a change of its address")
			r.cannot("what comes after the end of the device was not looked at")
			return nil
		}
		if at, err := netip.ParseAddr(d.LastIP); slices.Contains(liedAddresses, d.LastIP) {
			r.finding("client-address-from-client", x.where(), "the gate takes "+d.LastIP+" for the client")
		} else if err == nil && r.trusts(at) {
			r.finding("client-address-lost", x.where(), "the gate takes "+d.LastIP+" for the client, which is "+r.from.String())
		}
	}
	return nil
}

// withoutRoles takes the account's roles away: the very next request is refused where the policy demands them,
// and elsewhere no header with roles is left, the client's own included.
func (r *run) withoutRoles(ctx context.Context) error {
	if r.passed == 0 || r.Policy.Report {
		return nil
	}
	if err := r.account.setRoles(ctx, nil); err != nil {
		return err
	}
	if len(r.Policy.Roles) > 0 {
		return r.play(ctx, r.inBoth(r.roleProbes()))
	}
	if r.backend == nil {
		return nil
	}
	return r.play(ctx, r.inBoth(r.rolelessProbes()))
}

// withoutDevice ends the device, and then the account: the same token, on a path that it was let through to, is
// refused.
func (r *run) withoutDevice(ctx context.Context) error {
	if r.Policy.Report {
		return nil
	}
	if err := r.account.endDevice(ctx); err != nil {
		return err
	}
	if err := r.play(ctx, r.inBoth(r.endedProbes("a token whose device was just deleted"))); err != nil {
		return err
	}
	if err := r.account.remove(ctx); err != nil {
		return err
	}
	return r.play(ctx, r.endedProbes("a token whose account was just deleted"))
}
