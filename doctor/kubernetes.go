package doctor

import (
	"fmt"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// object is one object of Kubernetes, or a mesh configuration, which is written like one.
type object struct {
	*syntax.Node
	group, kind     string
	namespace, name string
	source          *source
}

// id names an object within its kind, as others refer to it.
func (o *object) id() string { return o.namespace + "/" + o.name }

// place is the line with the object's name.
func (o *object) place() syntax.Place { return at(o.Get("metadata", "name"), o.Node) }

func (o *object) spec(keys ...string) *syntax.Node { return o.Get("spec").Get(keys...) }

func (o *object) annotation(name string) *syntax.Node { return o.Get("metadata", "annotations", name) }

// Groups of the kinds that are judged.
const (
	groupTraefik = "traefik.io"
	groupIngress = "networking.k8s.io"
	groupGateway = "gateway.networking.k8s.io"
	groupEnvoy   = "gateway.envoyproxy.io"
	groupIstio   = "istio.io"
	kindMesh     = "MeshConfig"
)

// manifests are the objects of all files together.
type manifests struct {
	names   Names
	objects []*object
	// gates are the gate's services, as NAMESPACE/NAME, with the ports at which it is asked.
	gates map[string][]string
	// running are the gates whose configuration is among the objects.
	running []runningGate
	index   map[string][]*object // by group and kind
	ids     map[string]*object   // by group, kind and id
	derived                      // what is asked of the objects more than once
	// skip notes what is not judged.
	skip func(name, reason string)
}

// newManifests reads the objects of all files.
func newManifests(sources []*source, skip func(name, reason string), tooLarge func(at syntax.Place)) *manifests {
	m := &manifests{names: DefaultNames(), gates: map[string][]string{}, skip: skip, index: map[string][]*object{}, ids: map[string]*object{}}
	w := &objectWalk{seen: map[*syntax.Node]bool{}, tooLarge: tooLarge}
	for _, s := range sources {
		for _, n := range s.nodes {
			w.add(s, n, "", "", 0)
		}
	}
	for _, o := range w.objects {
		m.add(o)
	}
	return m
}

// objectWalk collects objects. An alias shares its nodes, so each is visited once.
type objectWalk struct {
	seen     map[*syntax.Node]bool
	objects  []*object
	tooLarge func(at syntax.Place)
}

const (
	maxLists  = 8       // lists within lists
	maxObject = 100_000 // members of an object, those of aliases each time; a cluster takes 1.5 MiB
)

// size takes the members of a tree from a number, and stops at nothing.
func size(n *syntax.Node, left int) int {
	if n == nil || left <= 0 {
		return left
	}
	left--
	for _, e := range n.Entries {
		left = size(e.Value, left)
	}
	for _, item := range n.Items {
		left = size(item, left)
	}
	return left
}

// add takes an object, or the items of a list, which may leave out what the list says of them.
func (w *objectWalk) add(s *source, n *syntax.Node, version, kind string, depth int) {
	if n == nil || n.Kind != syntax.Map || w.seen[n] || depth > maxLists {
		return
	}
	w.seen[n] = true
	if text := n.Get("apiVersion").String(); text != "" {
		version = text
	}
	if text := n.Get("kind").String(); text != "" {
		kind = text
	}
	if items := n.Get("items"); items != nil && strings.HasSuffix(kind, "List") {
		for _, item := range items.List() {
			w.add(s, item, version, strings.TrimSuffix(kind, "List"), depth+1)
		}
		return
	}
	if size(n, maxObject) <= 0 {
		w.tooLarge(n.Place)
		return
	}
	group, _, grouped := strings.Cut(version, "/")
	if !grouped {
		group = ""
	}
	if version == "" && (n.Get("extensionProviders") != nil || n.Get("meshConfig") != nil) {
		group, kind = groupIstio, kindMesh
	}
	o := &object{Node: n, group: family(group), kind: kind, source: s,
		namespace: n.Get("metadata", "namespace").String(), name: n.Get("metadata", "name").String()}
	if o.namespace == "" {
		o.namespace = "default"
	}
	w.objects = append(w.objects, o)
}

// family is a group under its present name: those of Traefik and of Ingress had others, and Istio has many.
func family(group string) string {
	switch {
	case group == "traefik.containo.us":
		return groupTraefik
	case group == "extensions":
		return groupIngress
	case group == groupIstio || strings.HasSuffix(group, "."+groupIstio) || group == "sailoperator.io":
		return groupIstio
	}
	return group
}

// add notes an object. Of two with one name the last counts, as it does in a cluster, but both are judged.
func (m *manifests) add(o *object) {
	m.objects = append(m.objects, o)
	m.index[o.group+" "+o.kind] = append(m.index[o.group+" "+o.kind], o)
	m.ids[o.group+" "+o.kind+" "+o.id()] = o
}

func (m *manifests) of(group string, kinds ...string) (all []*object) {
	for _, kind := range kinds {
		all = append(all, m.index[group+" "+kind]...)
	}
	return all
}

// find returns the object of that name, nil where it is in no file.
func (m *manifests) find(group, kind, id string) *object { return m.ids[group+" "+kind+" "+id] }

// derived is what follows from all objects.
type derived struct {
	settings  []*object            // ConfigMaps of ingress-nginx itself
	aimed     map[string][]*object // policies of Envoy Gateway, by what they are for
	selecting []*object            // policies of Envoy Gateway that choose by labels
	asked     []*extAuth
	known     []provider
	asking    []*custom
	ways      []gatewayRule
	sites     []*gatewaySite
	lines     map[*source][]string // of files with snippets
	snippets  map[*syntax.Node]snippetLines
}

// derive fills derived, when all objects are there.
func (m *manifests) derive() {
	m.aimed, m.lines, m.snippets = map[string][]*object{}, map[*source][]string{}, map[*syntax.Node]snippetLines{}
	m.settings = m.controllers()
	for _, o := range m.of(groupEnvoy, "SecurityPolicy", "ClientTrafficPolicy") {
		for _, t := range targets(o) {
			key := aim(o.kind, t.Get("kind").String(), o.namespace+"/"+t.Get("name").String(), t.Get("sectionName").String())
			m.aimed[key] = append(m.aimed[key], o)
		}
		if len(o.spec("targetSelectors").List()) > 0 {
			m.selecting = append(m.selecting, o)
		}
	}
	m.asked, m.known = m.checks(), m.providers()
	m.asking = m.customs()
	m.findGates()
	m.ways = m.gatewayRules()
	m.sites = m.gatewaySites()
}

// leading are the kinds that lead requests to backends or say who is asked about them, and are judged.
var leading = map[string][]string{
	groupTraefik: {"IngressRoute", "Middleware"},
	groupIngress: {"Ingress"},
	groupGateway: {"HTTPRoute"},
	groupEnvoy:   {"SecurityPolicy"},
	groupIstio:   {"AuthorizationPolicy", "VirtualService"},
}

// beside are further kinds of the same groups that are judged, or that lead nowhere.
var beside = map[string][]string{
	groupTraefik: {"IngressRouteTCP", "TLSOption", "TLSStore", "ServersTransport", "ServersTransportTCP", "TraefikService"},
	groupGateway: {"Gateway", "GatewayClass", "ReferenceGrant", "BackendTLSPolicy"},
	groupEnvoy:   {"ClientTrafficPolicy", "HTTPRouteFilter", "Backend", "BackendTrafficPolicy"},
	groupIstio: {kindMesh, "IstioOperator", "Istio", "EnvoyFilter", "Gateway", "DestinationRule", "ServiceEntry", "PeerAuthentication", "RequestAuthentication",
		"Telemetry", "Sidecar", "WorkloadEntry", "WorkloadGroup"},
}

// known says whether an object is judged, or is of a kind of Kubernetes itself, which lead nowhere.
func (o *object) known() bool {
	if _, proxy := beside[o.group]; proxy {
		return slices.Contains(leading[o.group], o.kind) || slices.Contains(beside[o.group], o.kind)
	}
	return !strings.Contains(o.group, ".") || strings.HasSuffix(o.group, ".k8s.io")
}

// readManifests notes what is not judged. A file of nothing known is a finding where somebody named it, and a note
// where it lay in a folder.
func (r *reader) readManifests() {
	r.kubernetes = newManifests(r.of(kindKubernetes), r.skip, func(at syntax.Place) {
		r.find("cannot-parse", at, "an object that is larger than a cluster takes; nothing of it is judged", "an object of at most 1.5 MiB")
	})
	known := map[*source]bool{}
	for _, o := range r.kubernetes.objects {
		known[o.source] = known[o.source] || o.known()
		if _, proxy := beside[o.group]; proxy && !o.known() {
			known[o.source] = true
			r.skip(o.place().String(), fmt.Sprintf("objects of kind %.60s are not read", o.kind))
		}
	}
	for _, s := range r.of(kindKubernetes) {
		switch {
		case known[s]:
		case s.folder:
			s.unused = true
			r.skip(s.name, "objects of no kind that is judged")
		default:
			s.unused = true
			r.find("kubernetes-not-read", syntax.Place{File: s.name, Line: 1}, "no object in it is of a kind that is judged", "the manifests of the proxy and of the gate, or the configuration that the proxy makes of them")
		}
	}
	r.configMaps()
	r.kubernetes.derive()
}

// judgeKubernetes has all rules judge the manifests, Traefik's apart, which are judged with its files.
func (r *reader) judgeKubernetes(n Names) {
	m := r.kubernetes
	if len(m.objects) == 0 {
		return
	}
	m.names = n
	questions := []*syntax.Node{m.controller("global-auth-url")}
	for _, o := range m.of(groupIngress, "Ingress") {
		questions = append(questions, o.nginx("auth-url"))
	}
	for _, url := range questions {
		if endpoint.MatchString(url.String()) {
			r.asks = append(r.asks, ask{url.At(), policyOf(url.String())})
		}
	}
	for _, c := range m.asked {
		if c.ours() {
			r.asks = append(r.asks, ask{c.place, c.policy})
		}
	}
	for _, p := range m.asking {
		r.asks = append(r.asks, ask{p.place(), p.policy()})
	}
	before := len(r.findings)
	apply(r, kubernetesRules, m)
	if len(r.findings) == before && len(r.asks) == 0 && m.leader() == nil && !m.hasGate() && len(m.known) == 0 {
		for _, s := range slices.DeleteFunc(r.of(kindKubernetes), func(s *source) bool { return s.unused }) {
			r.skip(s.name, "nothing in it leads to a backend, asks the gate or is the gate")
		}
	}
}

// leader returns the first object that leads requests somewhere, nil where none does.
func (m *manifests) leader() *object {
	for _, o := range m.objects {
		if slices.Contains(leading[o.group], o.kind) {
			return o
		}
	}
	return nil
}

// scalar, list and mapping are nodes that stand for something that is written in another way.
func scalar(at syntax.Place, text string) *syntax.Node {
	return &syntax.Node{Place: at, Kind: syntax.Scalar, Text: text}
}

func mapping(at syntax.Place, entries ...syntax.Entry) *syntax.Node {
	return &syntax.Node{Place: at, Kind: syntax.Map, Entries: entries}
}

func entry(key string, value *syntax.Node) syntax.Entry {
	return syntax.Entry{Place: value.At(), Key: key, Value: value}
}

// selects says whether an object has all the labels that a selector demands. Without a selector every object has.
func selects(selector, labels *syntax.Node) bool {
	for _, e := range selector.Each() {
		found := false
		for _, l := range labels.Each() {
			found = found || l.Key == e.Key && l.Value.String() == e.Value.String()
		}
		if !found {
			return false
		}
	}
	return true
}

// backend is a service that a route leads to.
type backend struct {
	*syntax.Node
	id   string // NAMESPACE/NAME
	port string // number or name, empty where none is written
}

// refersTo reads a reference to a service; in is the namespace of the object that it stands in.
func refersTo(n *syntax.Node, in string) backend {
	if other := n.Get("namespace").String(); other != "" {
		in = other
	}
	return backend{n, in + "/" + n.Get("name").String(), n.Get("port").String()}
}

// addressed returns the service that a URL or a host with a port leads to, as seen from a namespace.
func addressed(address, in string) (id, port string) {
	if _, rest, found := strings.Cut(address, "://"); found {
		address = rest
	}
	host, _, _ := strings.Cut(address, "/")
	host, port, _ = strings.Cut(host, ":")
	labels := strings.Split(host, ".")
	if len(labels) > 1 {
		in = labels[1]
	}
	return in + "/" + labels[0], port
}

// findGates notes which services are asked: what leads to them leads to no application.
func (m *manifests) findGates() {
	add := func(id, port string) { m.gates[id] = append(m.gates[id], port) }
	for _, o := range m.of(groupTraefik, "Middleware") {
		if address := o.spec("forwardAuth", "address").String(); endpoint.MatchString(address) {
			add(addressed(address, o.namespace))
		}
	}
	for _, o := range m.of(groupIngress, "Ingress") {
		if address := o.nginx("auth-url").String(); endpoint.MatchString(address) {
			add(addressed(address, o.namespace))
		}
	}
	if address := m.controller("global-auth-url").String(); endpoint.MatchString(address) {
		add(addressed(address, ""))
	}
	for _, c := range m.asked {
		for _, b := range c.backends {
			if c.ours() {
				add(b.id, b.port)
			}
		}
	}
	for _, p := range m.known {
		if p.ours() {
			id, _ := addressed(p.config.Get("service").String(), "")
			add(id, p.config.Get("port").String())
		}
	}
}

// toGate says whether backends are the gate's own services, and nothing but these.
func (m *manifests) toGate(backends []backend) bool {
	return len(backends) > 0 && !slices.ContainsFunc(backends, func(b backend) bool { return m.gates[b.id] == nil })
}

var kubernetesRules = slices.Concat(kubernetesGateRules, kubernetesTraefikRules, ingressRules, gatewayRules, istioRules)
