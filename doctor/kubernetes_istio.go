package doctor

import (
	"fmt"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// rootNamespace is where Istio's policies count for all namespaces, unless its installation says otherwise.
const rootNamespace = "istio-system"

// provider is one of Istio's extension providers for checks.
type provider struct {
	name   string
	config *syntax.Node
	http   bool
}

// ours says whether it asks the gate, by the same rule as extAuth.
func (p provider) ours() bool {
	return !p.http || strings.Contains(p.config.Get("pathPrefix").String(), "/auth/") || strings.Contains(p.config.Get("service").String(), "devicegate")
}

// meshes are the mesh configurations, wherever they stand.
func (m *manifests) meshes() (all []*syntax.Node) {
	add := func(n *syntax.Node) {
		if n != nil {
			all = append(all, n)
		}
	}
	for _, o := range m.of(groupIstio, kindMesh, "IstioOperator", "Istio") {
		if o.kind == kindMesh && o.Get("meshConfig") == nil {
			add(o.Node)
		}
		add(o.Get("meshConfig"))
		add(o.spec("meshConfig"))
		add(o.spec("values", "meshConfig"))
	}
	return all
}

// providers returns what the mesh configurations name for checks.
func (m *manifests) providers() (all []provider) {
	for _, mesh := range m.meshes() {
		for _, n := range mesh.Get("extensionProviders").List() {
			name := n.Get("name").String()
			if config := n.Get("envoyExtAuthzGrpc"); config != nil {
				all = append(all, provider{name, config, false})
			}
			if config := n.Get("envoyExtAuthzHttp"); config != nil {
				all = append(all, provider{name, config, true})
			}
		}
	}
	return all
}

// custom is an AuthorizationPolicy that asks the gate, or may.
type custom struct {
	*object
	provider *provider // nil where it is in no file
}

// policy is the policy of the gate that it goes by, empty where the gate's configuration says it.
func (c *custom) policy() string {
	if c.provider == nil || !c.provider.http {
		return ""
	}
	rest, _ := strings.CutPrefix(c.provider.config.Get("pathPrefix").String(), "/auth/envoy/")
	name, _, _ := strings.Cut(rest, "/")
	return name
}

// customs returns the policies of Istio that ask the gate. Where no file has the mesh configuration, every one may.
func (m *manifests) customs() (all []*custom) {
	providers := m.known
	for _, o := range m.of(groupIstio, "AuthorizationPolicy") {
		if o.spec("action").String() != "CUSTOM" {
			continue
		}
		i := slices.IndexFunc(providers, func(p provider) bool { return p.name == o.spec("provider", "name").String() })
		switch {
		case i >= 0 && providers[i].ours():
			all = append(all, &custom{o, &providers[i]})
		case i < 0 && len(m.meshes()) == 0:
			all = append(all, &custom{o, nil})
		}
	}
	return all
}

// partial says whether a policy asks about some requests and not about others.
func (c *custom) partial() bool {
	for _, rule := range c.spec("rules").List() {
		if len(rule.Each()) == 0 {
			return false
		}
	}
	return true
}

// operations are the descriptions of the requests that are asked about.
func (c *custom) operations() (all []*syntax.Node) {
	for _, rule := range c.spec("rules").List() {
		for _, to := range rule.Get("to").List() {
			all = append(all, to.Get("operation"))
		}
	}
	return all
}

// opens says whether a route of a VirtualService is for paths that a policy does not ask about.
func (c *custom) opens(route *syntax.Node) bool {
	for _, match := range route.Get("match").List() {
		path := match.Get("uri", "prefix").String() + match.Get("uri", "exact").String()
		for _, o := range c.operations() {
			for _, open := range o.Get("notPaths").Strings() {
				if prefix, whole := strings.CutSuffix(open, "*"); path == open || whole && strings.HasPrefix(path, prefix) {
					return true
				}
			}
		}
	}
	return false
}

// patches returns the values by which EnvoyFilters change the proxies of a policy, where they stand in its way in.
func (m *manifests) patches(c *custom, applyTo string) (all []*syntax.Node) {
	for _, o := range m.of(groupIstio, "EnvoyFilter") {
		if !reaches(o, c) {
			continue
		}
		for _, p := range o.spec("configPatches").List() {
			if context := p.Get("match", "context").String(); p.Get("applyTo").String() == applyTo && context != "SIDECAR_OUTBOUND" {
				all = append(all, p)
			}
		}
	}
	return all
}

// reaches says whether an EnvoyFilter is for all proxies that a policy is for.
func reaches(filter *object, c *custom) bool {
	if filter.namespace != rootNamespace && filter.namespace != c.namespace {
		return false
	}
	if refs := filter.spec("targetRefs").List(); len(refs) > 0 {
		return slices.ContainsFunc(c.spec("targetRefs").List(), func(n *syntax.Node) bool { return sameTarget(n, refs[0]) })
	}
	return selects(filter.spec("workloadSelector", "labels"), c.spec("selector", "matchLabels"))
}

func sameTarget(a, b *syntax.Node) bool {
	return a.Get("kind").String() == b.Get("kind").String() && a.Get("name").String() == b.Get("name").String()
}

// mutations are the changes of headers that come before the check.
func (m *manifests) mutations(c *custom) (all []*syntax.Node) {
	for _, p := range m.patches(c, "HTTP_FILTER") {
		config := p.Get("patch", "value", "typed_config")
		first := p.Get("patch", "operation").String() == "INSERT_FIRST" ||
			p.Get("patch", "operation").String() == "INSERT_BEFORE" && subFilter(p) != "envoy.filters.http.router"
		if first && strings.HasSuffix(config.Get("@type").String(), ".HeaderMutation") {
			all = append(all, config.Get("mutations", "request_mutations").List()...)
		}
	}
	for _, e := range m.meshOption(c, "early_header_mutation_extensions").List() {
		all = append(all, e.Get("typed_config", "mutations").List()...)
	}
	return all
}

func subFilter(p *syntax.Node) string {
	return p.Get("match", "listener", "filterChain", "filter", "subFilter", "name").String()
}

// meshRemoves says whether a header of the client's is gone before the check.
func (m *manifests) meshRemoves(c *custom, name string) bool {
	s := envoySite{before: m.mutations(c)}
	return s.removes(name)
}

// meshOption returns an option of the connection managers of a policy's proxies, as EnvoyFilters set it.
func (m *manifests) meshOption(c *custom, keys ...string) (found *syntax.Node) {
	for _, p := range m.patches(c, "NETWORK_FILTER") {
		if n := p.Get("patch", "value", "typed_config").Get(keys...); n != nil && p.Get("patch", "operation").String() == "MERGE" {
			found = n
		}
	}
	return found
}

// destinations are the services that a VirtualService leads to.
func (o *object) destinations() (all []backend) {
	for _, route := range o.spec("http").List() {
		all = append(all, meshBackends(route, o)...)
	}
	return all
}

func meshBackends(route *syntax.Node, o *object) (all []backend) {
	for _, n := range route.Get("route").List() {
		d := n.Get("destination")
		id, _ := addressed(d.Get("host").String(), o.namespace)
		all = append(all, backend{d, id, d.Get("port", "number").String()})
	}
	return all
}

// virtuals returns the VirtualServices at the gateways that a policy is for, as far as the files show.
func (m *manifests) virtuals(c *custom) (all []*object) {
	for _, o := range m.of(groupIstio, "VirtualService") {
		for _, name := range o.spec("gateways").Strings() {
			if !strings.Contains(name, "/") {
				name = o.namespace + "/" + name
			}
			g := m.find(groupIstio, "Gateway", name)
			if labels := c.spec("selector", "matchLabels"); g != nil && (selects(labels, g.spec("selector")) || selects(g.spec("selector"), labels)) {
				all = append(all, o)
				break
			}
		}
	}
	return all
}

// normalizes says whether the mesh configuration cleans paths at least so far. Istio's own default is BASE.
func (m *manifests) normalizes(least string) bool {
	degrees := []string{"NONE", "BASE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"}
	degree := 1
	for _, mesh := range m.meshes() {
		if i := slices.Index(degrees, mesh.Get("pathNormalization", "normalization").String()); i >= 0 {
			degree = i
		}
	}
	return degree >= slices.Index(degrees, least)
}

// meshCleaning judges how paths are cleaned for a policy that asks about some of them.
func (m *manifests) meshCleaning(c *custom, say say) {
	if !c.partial() {
		return
	}
	for _, o := range []struct{ key, mesh, problem string }{
		{"normalize_path", "BASE", "/open/../x is open to Envoy and /x to the backend"},
		{"merge_slashes", "MERGE_SLASHES", "//staff is not /staff to Envoy, and is to the backend"},
	} {
		n := m.meshOption(c, o.key)
		if n == nil && !m.normalizes(o.mesh) || n != nil && !n.True() {
			say(at(n, c.Node), o.problem, "an EnvoyFilter with MERGE of "+o.key+": true into the connection manager")
		}
	}
	action := m.meshOption(c, "path_with_escaped_slashes_action")
	if text := action.String(); !strings.HasPrefix(text, "UNESCAPE") && text != "REJECT_REQUEST" && (action != nil || !m.normalizes("DECODE_AND_MERGE_SLASHES")) {
		say(at(action, c.Node), "/open/..%2fx is open to Envoy and /x to the backend", "an EnvoyFilter with MERGE of path_with_escaped_slashes_action: REJECT_REQUEST into the connection manager")
	}
}

// meshRefusal judges whether paths that cleaning leaves are refused by the first routes of each VirtualService.
func (m *manifests) meshRefusal(c *custom, say say) {
	if !c.partial() {
		return
	}
	virtuals := m.virtuals(c)
	if len(virtuals) == 0 {
		m.skip(c.place().String(), "the routes of the proxies that it is for are in no file")
	}
	for _, o := range virtuals {
		var refused refusal
		for _, route := range o.spec("http").List() {
			if !strings.HasPrefix(route.Get("directResponse", "status").String(), "4") {
				break
			}
			for _, match := range route.Get("match").List() {
				if e, err := expression(match.Get("uri", "regex").String(), false, true); err == nil && len(match.Each()) == 1 {
					refused = append(refused, e)
				}
			}
		}
		if missed := refused.misses(escapes()); missed != "" && !m.toGate(o.destinations()) {
			say(o.place(), fmt.Sprintf("%s is one path to Envoy and another to some backends", missed),
				`a first route - match: [{uri: {regex: '(?i).*(%25|%00|%3b|/((\.|%2e){1,2})?;).*'}}] with directResponse: {status: 400}`)
		}
	}
}

var istioRules = []rule[*manifests]{
	{"kubernetes-istio-never", "an AuthorizationPolicy CUSTOM without rules: it asks about nothing", istioNever},
	{"kubernetes-istio-paths", "a CUSTOM policy that names paths that are asked about, or open ones by the middle of a word or by their end", istioPaths},
	{"kubernetes-istio-partial", "a CUSTOM policy that asks about some methods, sources or headers only", istioPartial},
	{"kubernetes-istio-hosts", "a CUSTOM policy for a host without the same host with a port: `Host: app.example.com:80` is not asked about", istioHosts},
	{"kubernetes-client-headers", "a provider over HTTP without headersToDownstreamOnDeny: every header of a refusal goes to the client", istioClientHeaders},
}

// istioNever: without rules nothing matches. One empty rule matches everything.
func istioNever(m *manifests, say say) {
	for _, c := range m.asking {
		if len(c.spec("rules").List()) == 0 {
			say(c.place(), "without rules it asks about nothing", "rules: [{}]")
		}
	}
	for _, c := range m.asking {
		if name := c.spec("provider", "name"); c.provider == nil {
			m.skip(at(name, c.Node).String(), fmt.Sprintf("the provider %.60s is in no file: what it asks, and whether it fails open, is not judged", name.String()))
		}
	}
}

// istioPaths: Istio compares paths after its own cleaning, letter by letter, and the backend may not (docs/seam.md, B7). So what
// is checked is named by what is not, and that with a slash at its end.
func istioPaths(m *manifests, say say) {
	for _, c := range m.asking {
		for _, o := range c.operations() {
			for _, n := range o.Get("paths").List() {
				if text := n.String(); text != "*" && text != "/*" {
					say(n.At(), fmt.Sprintf("only %.60s is asked about: another spelling of it, such as one with other letters or a ;, is open", text), "notPaths with what is open, and no paths")
				}
			}
			for _, n := range o.Get("notPaths").List() {
				text := n.String()
				wide := strings.HasPrefix(text, "*") || strings.HasSuffix(text, "*") && !strings.HasSuffix(text, "/*") || text == "/*"
				if wide {
					say(n.At(), fmt.Sprintf("%.60s opens more than it says: whatever begins or ends so", text), "notPaths: [/open/*], with the slash")
				}
			}
		}
	}
}

// istioPartial: a request that is not asked about passes (docs/seam.md, nginx: if OPTIONS return 204; B16, B17).
func istioPartial(m *manifests, say say) {
	tell := func(n *syntax.Node, what string) {
		if n != nil {
			say(n.At(), "requests of other "+what+" are not asked about, and pass", "take it out")
		}
	}
	for _, c := range m.asking {
		for _, o := range c.operations() {
			tell(o.Get("methods"), "methods")
			tell(o.Get("notMethods"), "methods")
		}
		for _, rule := range c.spec("rules").List() {
			tell(rule.Get("from"), "sources")
			for _, when := range rule.Get("when").List() {
				tell(when.Get("key"), "attributes")
			}
		}
	}
}

// istioHosts: hosts are compared whole, and routes take them with any port (docs/seam.md, B10).
func istioHosts(m *manifests, say say) {
	for _, c := range m.asking {
		for _, o := range c.operations() {
			hosts := o.Get("hosts").Strings()
			for _, n := range o.Get("hosts").List() {
				host := n.String()
				if !strings.HasSuffix(host, "*") && !strings.Contains(host, ":") && !slices.Contains(hosts, host+":*") {
					say(n.At(), fmt.Sprintf("Host: %.60s:80 is not asked about, and comes to the same route", host), fmt.Sprintf("hosts: [%.60s, \"%.60s:*\"]", host, host))
				}
			}
		}
	}
}

// istioClientHeaders: docs/seam.md, envoy: no allowed_client_headers; B13.
func istioClientHeaders(m *manifests, say say) {
	for _, p := range m.known {
		if p.http && p.ours() && p.config.Get("headersToDownstreamOnDeny") == nil {
			say(p.config.At(), "every header of a refusal goes to the client, those for the proxy too", "headersToDownstreamOnDeny: [www-authenticate, x-auth-reason, content-type, cache-control]")
		}
	}
}
