package authz

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/uuid"

	"devicegate/reason"
	"devicegate/safetext"
)

// details fill a step that was reached. Its result is there already: they say why, and may only say that nothing was
// demanded.
var details = [steps]func(*witness, *Step){
	(*witness).tellPeer, (*witness).tellRequest, (*witness).tellPolicy, (*witness).tellReady, (*witness).tellAuthorization,
	(*witness).tellToken, (*witness).tellDevice, (*witness).tellUser, (*witness).tellRoles, (*witness).tellAge,
	(*witness).tellNetwork, (*witness).tellCountry, (*witness).tellAssertion,
}

// maxText bounds a text of others, in bytes.
const maxText = 120

func shown(text string) string { return safetext.Bound(text, maxText) }

func networks(list []netip.Prefix) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ", ")
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return "unknown"
	}
	return a.String()
}

func (w *witness) tellPeer(s *Step) {
	switch {
	case !w.req.Adapter.known():
		s.Detail = "no adapter was asked"
	case w.req.Local:
		s.Detail = "over a unix socket, which always may"
	case s.Result == Failed:
		s.Detail = address(w.req.Peer) + " is not in checks.allowed_peers"
	default:
		s.Detail = address(w.req.Peer) + " is in checks.allowed_peers"
	}
	if !w.req.Local {
		s.Facts = []Fact{{Name: "peer", Found: address(w.req.Peer), Wanted: networks(w.config.AllowedPeers)}}
	}
}

func (w *witness) tellRequest(s *Step) {
	s.Detail = "all that the endpoint of " + w.req.Adapter.String() + " reads is there"
	if s.Result == Failed {
		s.Detail = "something that the endpoint of " + w.req.Adapter.String() + " reads is missing, empty or there twice"
	}
}

func (w *witness) tellPolicy(s *Step) {
	switch policy, known := w.config.Policies[w.req.Policy]; {
	case w.req.Policy == "":
		s.Detail = "the address of the check names no policy that can be read"
	case !known || s.Result == Failed:
		s.Detail = fmt.Sprintf("%q is not among the policies of the configuration", shown(w.req.Policy))
	case policy.Report:
		s.Detail = w.req.Policy + ", which only reports: everything passes, as nobody"
	default:
		s.Detail = w.req.Policy
	}
}

func (w *witness) tellReady(s *Step) {
	switch {
	case s.Result == Passed:
		s.Detail = "devices and users are known"
	case w.why == reason.Starting:
		s.Detail = "devices and users are still being read from the store"
	default:
		s.Detail = "what is known of devices and users can no longer be trusted: the log says why, and a restart reads it anew"
	}
}

func (w *witness) tellAuthorization(s *Step) {
	switch {
	case w.inspected != nil:
		s.Detail = "one Bearer token"
	case w.why == reason.BadAuthorization:
		s.Detail = "it is there twice, has a comma, or is not Bearer, one space and a token"
	case s.Result == Failed && len(w.req.Authorization) > 0:
		s.Detail = "it is empty, or of another scheme than Bearer"
	case s.Result == Failed:
		s.Detail = "there is none"
	case w.nobody() == reason.CORSPreflight:
		s.Detail = "no token, and the policy lets CORS preflights pass"
	default:
		s.Detail = "no token, and the policy lets pass without"
	}
}

// nobody returns for what a request without a token passes that was not refused for it.
func (w *witness) nobody() reason.Reason {
	if policy := w.config.Policies[w.req.Policy]; policy.CORSPreflight && w.req.preflight() {
		return reason.CORSPreflight
	}
	return reason.Anonymous
}

// skip says that nobody is asked for what only somebody has, and whether that is so.
func (w *witness) skip(s *Step) bool {
	if w.inspected != nil {
		return false
	}
	s.Result, s.Detail = NotDemanded, "of nobody"
	return true
}

func (w *witness) tellUser(s *Step) {
	if w.skip(s) {
		return
	}
	f := w.foreseen
	name, roles := f.User.Name, f.User.Roles
	if f.Reason == reason.OK {
		name, roles = f.Subject.Name, f.Subject.Roles
	}
	switch {
	case f.NameTaken:
		s.Detail = "a local user has the name of this user of another issuer"
		name = w.use.Foreign.Name
	case s.Result == Failed:
		s.Detail = shown(name) + " is disabled: devicegate user enable"
	case len(roles) == 0:
		s.Detail = shown(name) + ", without roles"
	default:
		s.Detail = shown(name) + ", " + strings.Join(roles, ", ")
	}
	s.Facts = []Fact{{Name: "user", Found: shown(name)}, {Name: "user_id", Found: w.use.User.String()}, {Name: "roles", Found: strings.Join(roles, ", ")}}
}

func (w *witness) tellRoles(s *Step) {
	p := w.config.Policies[w.req.Policy]
	if w.skip(s) {
		return
	}
	if len(p.RequireRoles)+len(p.RequireAllRoles) == 0 {
		s.Result, s.Detail = NotDemanded, "the policy demands none"
		return
	}
	var wanted []string
	if len(p.RequireRoles) > 0 {
		wanted = append(wanted, "one of "+strings.Join(p.RequireRoles, ", "))
	}
	if len(p.RequireAllRoles) > 0 {
		wanted = append(wanted, "all of "+strings.Join(p.RequireAllRoles, ", "))
	}
	f := Fact{Name: "roles", Found: strings.Join(w.foreseen.Subject.Roles, ", "), Wanted: strings.Join(wanted, " and ")}
	s.compare(f)
}

// compare says in one line what a fact says.
func (s *Step) compare(f Fact) {
	found := f.Found
	if found == "" {
		found = "none"
	}
	s.Facts = append(s.Facts, f)
	s.Detail = found + ", and wanted is " + f.Wanted
}

func (w *witness) tellAge(s *Step) {
	p := w.config.Policies[w.req.Policy]
	if w.skip(s) {
		return
	}
	var wanted []string
	if p.MinDeviceAge > 0 {
		wanted = append(wanted, "at least "+span(p.MinDeviceAge))
	}
	if p.MaxDeviceAge > 0 {
		wanted = append(wanted, "at most "+span(p.MaxDeviceAge))
	}
	if len(wanted) == 0 {
		s.Result, s.Detail = NotDemanded, "the policy demands none"
		return
	}
	s.compare(Fact{Name: "age", Found: span(w.at.Sub(w.foreseen.Subject.Since)), Wanted: strings.Join(wanted, " and ")})
}

func (w *witness) tellNetwork(s *Step) {
	p := w.config.Policies[w.req.Policy]
	s.Facts = w.walked()
	if len(p.AllowedNetworks) == 0 {
		s.Result, s.Detail = NotDemanded, "the policy allows all; the client is "+address(w.client)
		return
	}
	s.compare(Fact{Name: "client_ip", Found: address(w.client), Wanted: "one of " + networks(p.AllowedNetworks)})
}

// walked returns the hops that the client's address was found by, the nearest first.
func (w *witness) walked() []Fact {
	var facts []Fact
	add := func(a netip.Addr, entry string) {
		f := Fact{Name: "hop", Found: shown(strings.TrimSpace(entry))}
		switch {
		case !a.IsValid():
			f.Found = fmt.Sprintf("%q, which is no address: the walk ends before it", f.Found)
		case w.config.Trusted.Contains(a):
			f.Found += ", in trusted_proxies"
		default:
			f.Found += ", not in trusted_proxies: the client"
		}
		facts = append(facts, f)
	}
	if w.req.Source.IsValid() {
		add(w.req.Source, w.req.Source.String())
	}
	for _, hop := range w.hops {
		add(hop.Addr, hop.Entry)
	}
	return facts
}

func (w *witness) tellCountry(s *Step) {
	p := w.config.Policies[w.req.Policy]
	if len(p.RequireCountry)+len(p.DenyCountry) == 0 {
		s.Result, s.Detail = NotDemanded, "the policy demands none"
		return
	}
	var wanted []string
	if len(p.RequireCountry) > 0 {
		wanted = append(wanted, "one of "+strings.Join(p.RequireCountry, ", "))
	}
	if len(p.DenyCountry) > 0 {
		wanted = append(wanted, "none of "+strings.Join(p.DenyCountry, ", "))
	}
	country := "unknown"
	if w.config.Country != nil && w.client.IsValid() {
		if known := w.config.Country(w.client); known != "" {
			country = known
		}
	}
	s.compare(Fact{Name: "country", Found: country + " (" + address(w.client) + ")", Wanted: strings.Join(wanted, " and ")})
}

func (w *witness) tellAssertion(s *Step) {
	switch {
	case w.config.Headers.Assertion == "":
		s.Result, s.Detail = NotDemanded, "no header is configured for it"
	case w.inspected == nil:
		s.Result, s.Detail = NotDemanded, "of nobody"
	case s.Result == Failed:
		s.Detail = "no key signs at this moment, or name and roles make it too long"
	case w.crowded:
		s.Result, s.Detail = NotDemanded, "none is signed: the device has named too many hosts within a minute, and a backend that wants one refuses"
	case !w.asserted:
		s.Result, s.Detail = NotDemanded, "there is no host to make it for, or the policy only reports"
	default:
		s.Detail = "it would be signed for " + shown(audience(w.req.Host))
	}
}

// effects says what a check would have changed or told.
func (w *witness) effects() []string {
	f := w.foreseen
	if f == nil {
		return nil
	}
	var told []string
	if f.Registers {
		told = append(told, "would register the device: it was never seen before")
	}
	if f.GivesWay != uuid.Nil {
		told = append(told, "would end the device "+f.GivesWay.String()+" of the same user, which was not used for long")
	}
	switch {
	case f.Ends && f.MovedFrom.IsValid():
		told = append(told, "would end the device, because its address changed from "+f.MovedFrom.String()+" (devices.ip_change)")
	case f.MovedFrom.IsValid():
		told = append(told, "would tell that the address of the device changed from "+f.MovedFrom.String()+" (devices.ip_change)")
	}
	return told
}
