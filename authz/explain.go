package authz

import (
	"net/netip"
	"time"

	"devicegate/clientaddr"
	"devicegate/device"
	"devicegate/reason"
	"devicegate/token"
)

// Inspector verifies tokens as Tokens does, says what it came to its verdict by, and leaves no trace.
type Inspector interface {
	Inspect(raw string) token.Inspection
}

// Foreseer answers for devices as Devices does, says what it knows and what a check would change, and changes nothing.
type Foreseer interface {
	State() reason.Reason
	Foresee(use device.Use) device.Foresight
}

// Explanation is what a check would be answered at this moment, and why.
type Explanation struct {
	Request  Request
	Decision Decision
	Status   int // as the request's adapter writes the decision
	Client   netip.Addr
	Use      device.Use // of the device, as the token proves it; zero where it came to none
	Steps    []Step     // all of them, in the one order
	Effects  []string   // what a check would change or tell, and this has not; sentences without a full stop
}

// Judged returns the reason that the demands came to: that of the decision, or, where the policy only reports, what
// it would have been.
func (e *Explanation) Judged() reason.Reason {
	if e.Decision.Reason == reason.Report {
		return e.Decision.Would
	}
	return e.Decision.Reason
}

// Result is what a step came to. The zero Result is NotReached.
type Result uint8

// The results of steps.
const (
	NotReached  Result = iota // a step before has failed
	Passed                    // what it demands is there
	Failed                    // it names the reason of the decision
	NotDemanded               // nothing is demanded here
)

var resultWords = [...]string{NotReached: "not_reached", Passed: "passed", Failed: "failed", NotDemanded: "not_demanded"}

// String returns the result's word.
func (r Result) String() string {
	if int(r) < len(resultWords) {
		return resultWords[r]
	}
	return resultWords[NotReached]
}

// Step is one demand.
type Step struct {
	Name   string
	Result Result
	Detail string // why, as a short sentence without a full stop; fit for a terminal
	Facts  []Fact
}

// Fact is one thing that was found. All texts are bounded and fit for a terminal.
type Fact struct {
	Name, Found string
	Wanted      string // empty where anything will do
	Unproved    bool   // the token says so, and its signature is not good
}

// The steps, in the order of the contract. Those from roles to country are the policy's demands.
const (
	stepPeer = iota
	stepRequest
	stepPolicy
	stepReady
	stepAuthorization
	stepToken
	stepDevice
	stepUser
	stepRoles
	stepAge
	stepNetwork
	stepCountry
	stepAssertion
	steps // not a step: how many there are
)

var stepNames = [steps]string{
	"peer", "request", "policy", "ready", "authorization", "token", "device", "user", "roles", "device_age", "network", "country",
	"assertion",
}

// Explain says what Decide would answer to a request now, and why. It decides by the same code, with tokens and
// devices that answer the same without a trace: nothing is recorded, counted, remembered or registered.
func (a *Authorizer) Explain(req Request, tokens Inspector, devices Foreseer) Explanation {
	w := &witness{Authorizer: *a, inspector: tokens, foreseer: devices, req: req, at: a.now()}
	w.tokens, w.devices, w.recorder = w, w, nil
	w.assertions, w.config.Assertions = a.config.Assertions, w
	w.client = a.walk(req, func(hop clientaddr.Hop) { w.hops = append(w.hops, hop) })
	d := w.decide(req, w.client, w.at)
	e := Explanation{Request: req, Decision: d, Status: req.Adapter.Status(d.Outcome()), Client: w.client}
	w.why = e.Judged()
	e.Use, e.Steps, e.Effects = w.use, w.tell(), w.effects()
	return e
}

// witness is an authorizer that keeps what it was told while it decided one request.
type witness struct {
	Authorizer
	inspector  Inspector
	foreseer   Foreseer
	assertions Assertions

	req    Request
	at     time.Time
	client netip.Addr
	hops   []clientaddr.Hop
	why    reason.Reason

	state     *reason.Reason // nil: not asked
	inspected *token.Inspection
	use       device.Use
	foreseen  *device.Foresight
	asserted  bool
	crowded   bool // the device has named so many hosts that none is signed for this one
}

var (
	_ Tokens     = (*witness)(nil)
	_ Devices    = (*witness)(nil)
	_ Assertions = (*witness)(nil)
)

// Verify implements Tokens.
func (w *witness) Verify(raw string) (token.Verified, reason.Reason) {
	i := w.inspector.Inspect(raw)
	w.inspected = &i
	return i.Verified, i.Reason
}

// State implements Devices.
func (w *witness) State() reason.Reason {
	state := w.foreseer.State()
	w.state = &state
	return state
}

// Check implements Devices.
func (w *witness) Check(use device.Use) (device.Subject, reason.Reason) {
	f := w.foreseer.Foresee(use)
	w.use, w.foreseen = use, &f
	return f.Subject, f.Reason
}

// AssertionForeseer says what Assertions would come to, and whether with an assertion. It hands nothing out: an
// assertion is a credential.
type AssertionForeseer interface {
	Foresee(s token.Subject, audience string, now time.Time) (signed bool, why reason.Reason)
}

// Assert implements Assertions. What it returns is no assertion but says that there would be one.
func (w *witness) Assert(s token.Subject, audience string, now time.Time) (string, reason.Reason) {
	w.asserted = true
	if foreseer, ok := w.assertions.(AssertionForeseer); ok {
		if signed, why := foreseer.Foresee(s, audience, now); !signed {
			w.crowded = why == reason.OK
			return "", why
		}
	}
	return "(signed for " + shown(audience) + ")", reason.OK
}

// ofReason are the steps of the reasons that only one step gives.
var ofReason = map[reason.Reason]int{
	reason.PeerNotAllowed: stepPeer, reason.RequestIncomplete: stepRequest, reason.PolicyUnknown: stepPolicy,
	reason.NoToken: stepAuthorization, reason.BadAuthorization: stepAuthorization,
	reason.RoleMissing: stepRoles, reason.DeviceTooNew: stepAge, reason.DeviceTooOld: stepAge,
	reason.NetworkNotAllowed: stepNetwork, reason.CountryNotAllowed: stepCountry, reason.KeysUnavailable: stepAssertion,
}

// failed returns the step that names the reason; steps where none does. Who was asked last and refused names it: a
// word such as token_unverified may come from the token and from the device's side.
func (w *witness) failed() int {
	switch {
	case w.why.Outcome() == reason.Allow:
		return steps
	case w.state != nil && *w.state != reason.OK:
		return stepReady
	case w.foreseen != nil && w.foreseen.Reason != reason.OK:
		if w.ofUser() {
			return stepUser
		}
		return stepDevice
	case w.inspected != nil && w.inspected.Reason != reason.OK:
		return stepToken
	}
	return ofReason[w.why] // of no adapter: the first
}

// ofUser reports whether it is the user, not the device, whom the index has refused.
func (w *witness) ofUser() bool {
	f := w.foreseen
	return f.NameTaken || f.Reason == reason.InactiveAccount && f.Device.Ended == 0
}

// tell returns all steps. Those before the one that failed have passed.
func (w *witness) tell() []Step {
	failed := w.failed()
	told := make([]Step, steps)
	for n := range told {
		told[n] = Step{Name: stepNames[n]}
		switch {
		case n > failed:
			continue
		case n == failed:
			told[n].Result = Failed
		default:
			told[n].Result = Passed
		}
		details[n](w, &told[n])
	}
	return told
}
