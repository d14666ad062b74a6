package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// extAuth is a place at which Envoy Gateway, or the Gateway API's own filter, asks somebody.
type extAuth struct {
	object   *object      // that it stands in
	config   *syntax.Node // extAuth of Envoy Gateway, externalAuth of the Gateway API
	place    syntax.Place
	filter   bool   // it is the Gateway API's filter
	http     bool   // else gRPC
	policy   string // empty where none is named
	named    bool   // a policy is named, perhaps in another object
	backends []backend
}

// ours says whether the gate is asked, and not another service. Over gRPC that is taken for granted, as in files of
// Envoy; over HTTP the path says it, or the service's name.
func (c *extAuth) ours() bool {
	return !c.http || strings.Contains(c.path().String(), "/auth/") ||
		slices.ContainsFunc(c.backends, func(b backend) bool { return strings.Contains(b.id, "devicegate") })
}

// path is the prefix of the question over HTTP.
func (c *extAuth) path() *syntax.Node {
	if n := c.config.Get("http", "pathOverride"); n != nil {
		return n
	}
	return c.config.Get("http", "path")
}

// checks returns every place at which somebody is asked.
func (m *manifests) checks() (all []*extAuth) {
	for _, o := range m.of(groupEnvoy, "SecurityPolicy") {
		if c := newExtAuth(o, o.spec("extAuth"), false); c != nil {
			all = append(all, c)
		}
	}
	for _, o := range m.of(groupGateway, "HTTPRoute") {
		for _, rule := range o.spec("rules").List() {
			if c := filterOf(o, rule); c != nil {
				all = append(all, c)
			}
		}
	}
	return all
}

// filterOf returns the check among the filters of a rule.
func filterOf(o *object, rule *syntax.Node) *extAuth {
	for _, f := range rule.Get("filters").List() {
		if f.Get("type").String() == "ExternalAuth" {
			return newExtAuth(o, f.Get("externalAuth"), true)
		}
	}
	return nil
}

func newExtAuth(o *object, config *syntax.Node, filter bool) *extAuth {
	if config == nil {
		return nil
	}
	c := &extAuth{object: o, config: config, place: config.At(), filter: filter, http: config.Get("http") != nil}
	if protocol := config.Get("protocol").String(); filter {
		c.http = protocol == "HTTP"
	}
	service := config
	if !filter && c.http {
		service = config.Get("http")
	} else if !filter {
		service = config.Get("grpc")
	}
	for _, n := range append(service.Get("backendRefs").List(), service.Get("backendRef")) {
		if n != nil {
			c.backends = append(c.backends, refersTo(n, o.namespace))
		}
	}
	if rest, found := strings.CutPrefix(c.path().String(), "/auth/envoy/"); c.http && found {
		c.policy, _, _ = strings.Cut(rest, "/")
		c.named = c.policy != ""
	}
	for _, e := range config.Get("contextExtensions").List() {
		if e.Get("name").String() == "policy" && !c.http {
			c.policy, c.named, c.place = e.Get("value").String(), true, at(e.Get("value"), e)
		}
	}
	return c
}

// targets returns what a policy of Envoy Gateway is for.
func targets(o *object) (all []*syntax.Node) {
	return append(o.spec("targetRefs").List(), slices.DeleteFunc([]*syntax.Node{o.spec("targetRef")}, func(n *syntax.Node) bool { return n == nil })...)
}

// aim is what a policy of a kind is for, in one word.
func aim(policy, kind, id, section string) string {
	return policy + " " + kind + " " + id + " " + section
}

// policies returns the policies of Envoy Gateway that are for an object, or for the section of it.
func (m *manifests) policies(policy string, o *object, section string) (all []*object) {
	all = m.aimed[aim(policy, o.kind, o.id(), section)]
	for _, p := range m.selecting {
		chosen := slices.ContainsFunc(p.spec("targetSelectors").List(), func(s *syntax.Node) bool {
			return s.Get("kind").String() == o.kind && s.Get("matchExpressions") == nil && selects(s.Get("matchLabels"), o.Get("metadata", "labels"))
		})
		if p.kind == policy && section == "" && p.namespace == o.namespace && chosen {
			all = append(all, p)
		}
	}
	return all
}

// gatewayRule is a rule of an HTTPRoute at one gateway, with what stands before it.
type gatewayRule struct {
	*syntax.Node
	route   *object
	gateway string   // NAMESPACE/NAME
	hosts   []string // none: all
	check   *extAuth // nil: nobody is asked
	lost    *object  // the policy that takes the place of one that asks
}

// maxParents bounds the gateways of a route. The Gateway API allows 32.
const maxParents = 64

// gatewayRules returns the rules of all routes, once for each gateway.
func (m *manifests) gatewayRules() (all []gatewayRule) {
	for _, o := range m.of(groupGateway, "HTTPRoute") {
		parents := o.spec("parentRefs").List()
		if len(parents) > maxParents {
			m.skip(o.place().String(), fmt.Sprintf("more than %d parentRefs, which no cluster takes", maxParents))
			parents = parents[:maxParents]
		}
		for _, parent := range parents {
			if kind := parent.Get("kind").String(); kind != "" && kind != "Gateway" {
				continue
			}
			for _, rule := range o.spec("rules").List() {
				r := gatewayRule{Node: rule, route: o, gateway: refersTo(parent, o.namespace).id, hosts: o.spec("hostnames").Strings()}
				if r.check = filterOf(o, rule); r.check == nil {
					m.setCheck(&r, parent.Get("sectionName").String())
				}
				all = append(all, r)
			}
		}
	}
	return all
}

// setCheck finds the policy that counts for a rule: the nearest one alone, unless it is merged into the one above.
func (m *manifests) setCheck(r *gatewayRule, listener string) {
	const kind = "SecurityPolicy"
	var levels [][]*object
	if r.section() != "" {
		levels = append(levels, m.policies(kind, r.route, r.section()))
	}
	levels = append(levels, m.policies(kind, r.route, ""))
	if g := m.find(groupGateway, "Gateway", r.gateway); g != nil && listener != "" {
		levels = append(levels, m.policies(kind, g, listener), m.policies(kind, g, ""))
	} else if g != nil {
		levels = append(levels, m.policies(kind, g, ""))
	}
	var nearest *object
	for _, p := range slices.Concat(levels...) {
		c := newExtAuth(p, p.spec("extAuth"), false)
		switch {
		case nearest == nil && c != nil:
			r.check = c
			return
		case nearest == nil && p.spec("mergeType") == nil:
			nearest = p
		case nearest != nil && c != nil:
			r.lost = nearest
			return
		}
	}
}

func (r *gatewayRule) section() string { return r.Get("name").String() }

// backends are the services that the rule leads to.
func (r *gatewayRule) backends() (all []backend) {
	for _, n := range r.Get("backendRefs").List() {
		all = append(all, refersTo(n, r.route.namespace))
	}
	return all
}

// demands is what stands before the rule, in one word.
func (r *gatewayRule) demands() string {
	if r.check == nil {
		return ""
	}
	return "checked " + r.check.policy
}

// paths returns how the rule chooses by path; without a word it takes all of them.
func (r *gatewayRule) paths() (all []pathMatch) {
	for _, match := range r.Get("matches").List() {
		p := pathMatch{kind: match.Get("path", "type").String(), value: match.Get("path", "value").String(), only: len(match.Each()) == 1}
		if match.Get("path") == nil {
			p.value = "/"
		}
		if p.kind == "" {
			p.kind = "PathPrefix"
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		all = append(all, pathMatch{kind: "PathPrefix", value: "/", only: true})
	}
	return all
}

type pathMatch struct {
	kind, value string
	only        bool // nothing but the path is looked at
}

// gatewaySite is one Gateway of Envoy Gateway whose routes ask the gate.
type gatewaySite struct {
	*object
	rules    []gatewayRule               // that lead to a backend which is not the gate
	refusals map[string][]gatewayRefused // what is answered with a refusal, by host; empty for all hosts
	settings []*object                   // what counts for its clients; nil for a listener without any
}

// gatewayRefused is an expression of paths that a rule refuses.
type gatewayRefused struct {
	*regexp.Regexp
	length int // of its text
	hosts  []string
}

// refuse adds what a rule refuses. Where it looks at more than the path, it refuses some requests only.
func (s *gatewaySite) refuse(r gatewayRule) {
	for _, p := range r.paths() {
		e, err := expression(p.value, false, true)
		if err != nil || p.kind != "RegularExpression" || !p.only {
			continue
		}
		for _, host := range hostsOf(r) {
			s.refusals[host] = append(s.refusals[host], gatewayRefused{e, len(p.value), hostsOf(r)})
		}
	}
}

// gatewaySites returns the Gateways in the files of which a policy of Envoy Gateway asks the gate.
func (m *manifests) gatewaySites() (all []*gatewaySite) {
	for _, g := range m.of(groupGateway, "Gateway") {
		s, asks := &gatewaySite{object: g, refusals: map[string][]gatewayRefused{}}, false
		for _, r := range m.ways {
			switch {
			case r.gateway != g.id():
			case m.refuses(r):
				s.refuse(r)
			case len(r.backends()) > 0 && !m.toGate(r.backends()):
				s.rules = append(s.rules, r)
				asks = asks || r.check != nil && !r.check.filter && r.check.ours()
			}
		}
		s.settings = m.clientSettings(g)
		if asks {
			all = append(all, s)
		}
	}
	return all
}

// hostsOf returns the host names of a rule; an empty one for all.
func hostsOf(r gatewayRule) []string {
	if len(r.hosts) == 0 {
		return []string{""}
	}
	return r.hosts
}

// refuses says whether a rule answers with a refusal of Envoy Gateway's own.
func (m *manifests) refuses(r gatewayRule) bool {
	for _, f := range r.Get("filters").List() {
		ref := f.Get("extensionRef")
		if ref.Get("kind").String() != "HTTPRouteFilter" {
			continue
		}
		o := m.find(groupEnvoy, "HTTPRouteFilter", r.route.namespace+"/"+ref.Get("name").String())
		if o != nil && strings.HasPrefix(o.spec("directResponse", "statusCode").String(), "4") {
			return true
		}
	}
	return false
}

// clientSettings returns the ClientTrafficPolicy of each listener: its own, else that of the Gateway, nil for none.
func (m *manifests) clientSettings(g *object) (all []*object) {
	of := func(section string) *object {
		if found := m.policies("ClientTrafficPolicy", g, section); len(found) > 0 {
			return found[0]
		}
		return nil
	}
	whole := of("")
	for _, l := range g.spec("listeners").List() {
		p := of(l.Get("name").String())
		if p == nil {
			p = whole
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	if len(all) == 0 {
		all = append(all, whole)
	}
	return all
}

// mixed says whether rules of different demands stand side by side.
func (s *gatewaySite) mixed() bool {
	demands := map[string]bool{}
	for _, r := range s.rules {
		demands[r.demands()] = true
	}
	return len(demands) > 1
}

// removesEarly says whether clients' headers of that name are gone before routes and checks.
func removesEarly(settings *object, name string) bool {
	early := settings.spec("headers", "earlyRequestHeaders")
	for _, listed := range early.Get("remove").Strings() {
		if strings.EqualFold(listed, name) {
			return true
		}
	}
	for _, n := range early.Get("removeOnMatch").List() {
		if matches(stringMatch(n), strings.ToLower(name)) {
			return true
		}
	}
	return false
}

// stringMatch is a matcher of Envoy Gateway in Envoy's words. Names of headers are compared in small letters.
func stringMatch(n *syntax.Node) *syntax.Node {
	value := n.Get("value")
	switch n.Get("type").String() {
	case "", "Exact":
		return mapping(n.At(), entry("exact", scalar(n.At(), strings.ToLower(value.String()))))
	case "Prefix":
		return mapping(n.At(), entry("prefix", scalar(n.At(), strings.ToLower(value.String()))))
	case "Suffix":
		return mapping(n.At(), entry("suffix", scalar(n.At(), strings.ToLower(value.String()))))
	case "RegularExpression":
		return mapping(n.At(), entry("safe_regex", mapping(n.At(), entry("regex", scalar(n.At(), value.String())))))
	}
	return nil
}
