package doctor

import (
	"fmt"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// Objects of Traefik are put into the words of its files, so that all its rules judge them. Traefik calls what
// stands in the namespace NS under NAME NS-NAME, and from elsewhere NS-NAME@kubernetescrd.
const crdProvider = "@kubernetescrd"

var kubernetesTraefikRules = []rule[*manifests]{
	{"kubernetes-cross-namespace", "a route of Traefik that names a middleware or service of another namespace, where that is not allowed: Traefik leaves the route out", crossNamespace},
}

// crossNamespace: what Traefik leaves out another route takes (docs/seam.md, traefik: a misspelt middleware on the
// staff router; B22). Names of another namespace are refused unless the arguments allow them.
func crossNamespace(m *manifests, say say) {
	static := m.traefikStatic()
	for _, o := range m.of(groupTraefik, "IngressRoute") {
		for _, route := range o.spec("routes").List() {
			for _, n := range append(route.Get("middlewares").List(), route.Get("services").List()...) {
				other := n.Get("namespace").String()
				if other == "" || other == o.namespace || strings.Contains(n.Get("name").String(), "@") {
					continue
				}
				if len(static.Each()) == 0 {
					m.skip(n.At().String(), "a name of another namespace: whether Traefik allows it, its arguments say, which are in no file")
				} else if !static.Get("providers", "kubernetesCRD", "allowCrossNamespace").True() {
					say(n.At(), fmt.Sprintf("Traefik leaves this route out, and another one takes its requests: %.60s is of the namespace %.60s", n.Get("name").String(), other),
						"the object in the route's own namespace, or --providers.kubernetescrd.allowCrossNamespace=true")
				}
			}
		}
	}
}

// traefikTree returns the objects of Traefik as a configuration of files; nil where there are none.
func (m *manifests) traefikTree() *syntax.Node {
	t := &traefikTree{m: m}
	for _, o := range m.of(groupTraefik, "Middleware") {
		t.wares = append(t.wares, syntax.Entry{Place: o.place(), Key: qualified(o.namespace, o.name), Value: wareSpec(o)})
	}
	for _, o := range m.of(groupTraefik, "IngressRoute") {
		t.ingressRoute(o)
	}
	for _, o := range m.of(groupIngress, "Ingress") {
		if controllerOf(o) == "traefik" {
			t.ingress(o)
		}
	}
	for _, o := range m.of(groupGateway, "HTTPRoute") {
		if m.throughTraefik(o) {
			t.httpRoute(o)
		}
	}
	for _, o := range m.of(groupTraefik, "IngressRouteTCP") {
		t.ingressRouteTCP(o)
	}
	entries := m.traefikStatic().Get("entryPoints")
	if len(t.routers)+len(t.wares)+len(entries.Each()) == 0 {
		return nil
	}
	if len(entries.Each()) == 0 && len(t.routers) > 0 {
		m.skip(t.routers[0].String(), "Traefik's arguments are in no file: what its entry points let through (aliases of the identity headers, encoded slashes, forged X-Forwarded-*) is not judged")
	}
	at := syntax.Place{}
	tree := mapping(at, entry("http", mapping(at, entry("routers", mapping(at, t.routers...)), entry("middlewares", mapping(at, t.wares...)), entry("services", mapping(at, t.services...)))),
		entry("tcp", mapping(at, entry("routers", mapping(at, t.tcp...)), entry("services", mapping(at, t.services...)))))
	if entries != nil {
		tree.Entries = append(tree.Entries, entry("entryPoints", entries))
	}
	return tree
}

// traefikTree collects the parts of a configuration.
type traefikTree struct {
	m                             *manifests
	routers, wares, services, tcp []syntax.Entry
}

func qualified(namespace, name string) string { return namespace + "-" + name }

// wareName is a reference to a middleware in the words of Traefik's files.
func wareName(n *syntax.Node, in string) *syntax.Node {
	name := n.Get("name")
	if strings.Contains(name.String(), "@") {
		return scalar(name.At(), strings.TrimSuffix(name.String(), crdProvider))
	}
	if other := n.Get("namespace").String(); other != "" {
		in = other
	}
	return scalar(at(name, n), qualified(in, name.String()))
}

// wareSpec is a middleware with the names of its chain qualified.
func wareSpec(o *object) *syntax.Node {
	out := mapping(o.place())
	for _, e := range o.spec().Each() {
		if syntax.Fold(e.Key) == "chain" {
			inner := &syntax.Node{Place: e.Place, Kind: syntax.List}
			for _, n := range e.Value.Get("middlewares").List() {
				inner.Items = append(inner.Items, wareName(n, o.namespace))
			}
			e.Value = mapping(e.Place, entry("middlewares", inner))
		}
		out.Entries = append(out.Entries, e)
	}
	return out
}

// ingressRoute adds the routes of an IngressRoute.
func (t *traefikTree) ingressRoute(o *object) {
	for i, route := range o.spec("routes").List() {
		wares := &syntax.Node{Place: at(route.Get("middlewares"), route), Kind: syntax.List}
		for _, n := range route.Get("middlewares").List() {
			wares.Items = append(wares.Items, wareName(n, o.namespace))
		}
		if parents := o.spec("parentRefs"); len(parents.List()) > 0 {
			wares.Items = append(wares.Items, scalar(parents.At(), "those of its parent@elsewhere")) // they are not followed
		}
		router := mapping(route.At(), entry("rule", scalar(at(route.Get("match"), route), route.Get("match").String())), entry("middlewares", wares),
			entry("service", scalar(route.At(), t.service(route, o))))
		for key, n := range map[string]*syntax.Node{"priority": route.Get("priority"), "entryPoints": o.spec("entryPoints")} {
			if n != nil {
				router.Entries = append(router.Entries, entry(key, n))
			}
		}
		t.routers = append(t.routers, syntax.Entry{Place: route.At(), Key: fmt.Sprintf("%s %d", o.id(), i+1), Value: router})
	}
}

// service says where a route leads: to an answer of Traefik's own, to the gate's API, which is no application, or to
// backends, which it adds.
func (t *traefikTree) service(route *syntax.Node, o *object) string {
	var backends []backend
	for _, n := range route.Get("services").List() {
		if name := n.Get("name").String(); strings.HasSuffix(name, "@internal") {
			return name
		}
		backends = append(backends, refersTo(n, o.namespace))
	}
	return t.serves(backends)
}

// serves adds a service of backends and returns its name. A backend is the same at every port.
func (t *traefikTree) serves(backends []backend) string {
	if t.m.toGate(backends) {
		return "gate@internal"
	}
	name, servers := "", &syntax.Node{Kind: syntax.List}
	for _, b := range backends {
		host := strings.ReplaceAll(b.id, "/", ".")
		name += " " + host
		servers.Items = append(servers.Items, mapping(b.At(), entry("url", scalar(b.At(), host)), entry("address", scalar(b.At(), host))))
	}
	t.services = append(t.services, syntax.Entry{Key: name, Value: mapping(syntax.Place{}, entry("loadBalancer", mapping(syntax.Place{}, entry("servers", servers))))})
	return name
}

const traefikAnnotation = "traefik.ingress.kubernetes.io/router."

// ingress adds the paths of an Ingress that is Traefik's, which names middlewares in an annotation.
func (t *traefikTree) ingress(o *object) {
	for i, p := range o.paths() {
		rule := fmt.Sprintf("PathPrefix(`%s`)", p.path)
		if p.Get("pathType").String() == "Exact" {
			rule = fmt.Sprintf("Path(`%s`)", p.path)
		}
		if p.host != "" {
			rule = fmt.Sprintf("Host(`%s`) && %s", p.host, rule)
		}
		router := mapping(p.At(), entry("rule", scalar(p.At(), rule)), entry("service", scalar(p.At(), t.serves([]backend{p.backend}))))
		for annotation, key := range map[string]string{"middlewares": "middlewares", "entrypoints": "entryPoints", "priority": "priority"} {
			if n := o.annotation(traefikAnnotation + annotation); n != nil {
				router.Entries = append(router.Entries, entry(key, commas(n)))
			}
		}
		t.routers = append(t.routers, syntax.Entry{Place: p.At(), Key: fmt.Sprintf("%s %d", o.id(), i+1), Value: router})
	}
}

// throughTraefik says whether an HTTPRoute is Traefik's: a rule names a middleware, or its gateway is of Traefik's class.
func (m *manifests) throughTraefik(o *object) bool {
	for _, parent := range o.spec("parentRefs").List() {
		g := m.find(groupGateway, "Gateway", refersTo(parent, o.namespace).id)
		if g != nil && strings.Contains(g.spec("gatewayClassName").String(), "traefik") {
			return true
		}
	}
	return slices.ContainsFunc(o.spec("rules").List(), func(rule *syntax.Node) bool { return len(routeWares(rule, o).Items) > 0 })
}

// routeWares are the middlewares among the filters of a rule.
func routeWares(rule *syntax.Node, o *object) *syntax.Node {
	out := &syntax.Node{Place: at(rule.Get("filters"), rule), Kind: syntax.List}
	for _, f := range rule.Get("filters").List() {
		if ref := f.Get("extensionRef"); family(ref.Get("group").String()) == groupTraefik && ref.Get("kind").String() == "Middleware" {
			out.Items = append(out.Items, wareName(ref, o.namespace))
		}
	}
	return out
}

// httpRoute adds the rules of an HTTPRoute that is Traefik's.
func (t *traefikTree) httpRoute(o *object) {
	words := map[string]string{"PathPrefix": "PathPrefix", "Exact": "Path", "RegularExpression": "PathRegexp"}
	for i, rule := range o.spec("rules").List() {
		r := gatewayRule{Node: rule, route: o}
		for _, p := range r.paths() {
			text := fmt.Sprintf("%s(`%s`)", words[p.kind], p.value)
			for _, host := range o.spec("hostnames").Strings() {
				text = fmt.Sprintf("Host(`%s`) && %s", host, text)
			}
			router := mapping(rule.At(), entry("rule", scalar(rule.At(), text)), entry("middlewares", routeWares(rule, o)), entry("service", scalar(rule.At(), t.serves(r.backends()))))
			t.routers = append(t.routers, syntax.Entry{Place: rule.At(), Key: fmt.Sprintf("%s %d", o.id(), i+1), Value: router})
		}
	}
}

// ingressRouteTCP adds routes that nothing looks into.
func (t *traefikTree) ingressRouteTCP(o *object) {
	for _, route := range o.spec("routes").List() {
		router := mapping(route.At(), entry("service", scalar(route.At(), t.service(route, o))))
		t.tcp = append(t.tcp, syntax.Entry{Place: route.At(), Key: o.id(), Value: router})
	}
}

// commas is a text of names with commas between them as a list, without the name of the provider of manifests.
func commas(n *syntax.Node) *syntax.Node {
	out := &syntax.Node{Place: n.At(), Kind: syntax.List}
	for part := range strings.SplitSeq(n.String(), ",") {
		out.Items = append(out.Items, scalar(n.At(), strings.TrimSuffix(strings.TrimSpace(part), crdProvider)))
	}
	if len(out.Items) == 1 {
		return out.Items[0]
	}
	return out
}

// traefikStatic is what Traefik's own containers are started with, as a tree.
func (m *manifests) traefikStatic() *syntax.Node {
	out := mapping(syntax.Place{})
	for _, w := range m.workloads() {
		for _, c := range w.containers() {
			words := append(c.Get("command").List(), c.Get("args").List()...)
			if !isTraefik(words) {
				continue
			}
			for i, word := range words {
				name, value, written := strings.Cut(word.String(), "=")
				if !written && i+1 < len(words) && !strings.HasPrefix(words[i+1].String(), "-") {
					value = words[i+1].String()
				} else if !written {
					value = "true"
				}
				if path, flag := strings.CutPrefix(name, "--"); flag {
					put(out, strings.Split(path, "."), commas(scalar(word.At(), value)))
				}
			}
		}
	}
	return out
}

// isTraefik says whether words are arguments of Traefik. Its image has many names.
func isTraefik(words []*syntax.Node) bool {
	for _, w := range words {
		text := strings.ToLower(w.String())
		if strings.HasPrefix(text, "--entrypoints.") || strings.HasPrefix(text, "--providers.kubernetes") {
			return true
		}
	}
	return false
}

// put adds a value under a path of keys.
func put(n *syntax.Node, path []string, value *syntax.Node) {
	for i, key := range path {
		if i == len(path)-1 {
			n.Entries = append(n.Entries, entry(key, value))
			return
		}
		next := n.Get(key)
		if next == nil || next.Kind != syntax.Map {
			next = mapping(value.At())
			n.Entries = append(n.Entries, entry(key, next))
		}
		n = next
	}
}
