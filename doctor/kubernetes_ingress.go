package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"devicegate/doctor/syntax"
)

const nginxAnnotation = "nginx.ingress.kubernetes.io/"

// nginx returns an annotation of ingress-nginx.
func (o *object) nginx(name string) *syntax.Node { return o.annotation(nginxAnnotation + name) }

// ingressPath is one path of an Ingress.
type ingressPath struct {
	*syntax.Node
	ingress    *object
	host, path string
	backend    backend
	demand     string // the address that is asked, empty where nobody is
}

// paths returns all paths of an Ingress, the backend of last resort as one of them.
func (o *object) paths() (all []ingressPath) {
	for _, rule := range o.spec("rules").List() {
		for _, p := range rule.Get("http", "paths").List() {
			all = append(all, ingressPath{Node: p, ingress: o, host: rule.Get("host").String(), path: p.Get("path").String(), backend: ingressBackend(p.Get("backend"), o)})
		}
	}
	for _, key := range []string{"defaultBackend", "backend"} {
		if n := o.spec(key); n != nil {
			all = append(all, ingressPath{Node: n, ingress: o, path: "/", backend: ingressBackend(n, o)})
		}
	}
	return all
}

// ingressBackend reads a service as the present version or the first one writes it.
func ingressBackend(n *syntax.Node, o *object) backend {
	name, port := n.Get("service", "name"), n.Get("service", "port", "number").String()
	if name == nil {
		name, port = n.Get("serviceName"), n.Get("servicePort").String()
	}
	if port == "" {
		port = n.Get("service", "port", "name").String()
	}
	return backend{n, o.namespace + "/" + name.String(), port}
}

// controllerOf says which controller an Ingress is for: nginx, traefik, another by its class, or empty where nothing
// says it.
func controllerOf(o *object) string {
	class := o.spec("ingressClassName").String()
	if class == "" {
		class = o.annotation("kubernetes.io/ingress.class").String()
	}
	var annotations string
	for _, e := range o.Get("metadata", "annotations").Each() {
		annotations += e.Key + "\n"
	}
	for _, name := range []string{"nginx", "traefik"} {
		if strings.Contains(class, name) || class == "" && strings.Contains(annotations, name+".ingress.kubernetes.io/") {
			return name
		}
	}
	return class
}

// ingresses are those of ingress-nginx, and those that may be.
func (m *manifests) ingresses() (all []*object) {
	for _, o := range m.of(groupIngress, "Ingress") {
		if c := controllerOf(o); c == "nginx" || c == "" {
			all = append(all, o)
		}
	}
	return all
}

// controllerKeys are settings of ingress-nginx itself by which its ConfigMap is known.
var controllerKeys = []string{"global-auth-url", "enable-underscores-in-headers", "ignore-invalid-headers", "no-auth-locations", "allow-snippet-annotations", "custom-http-errors"}

// controllers are the ConfigMaps of ingress-nginx itself.
func (m *manifests) controllers() (all []*object) {
	for _, o := range m.of("", "ConfigMap") {
		if slices.ContainsFunc(controllerKeys, func(key string) bool { return o.Get("data", key) != nil }) {
			all = append(all, o)
		}
	}
	return all
}

// controller returns a setting of ingress-nginx itself.
func (m *manifests) controller(key string) *syntax.Node {
	for _, o := range m.settings {
		if n := o.Get("data", key); n != nil {
			return n
		}
	}
	return nil
}

// question is the address that is asked about the paths of an Ingress, nil where nobody is.
func (m *manifests) question(o *object) *syntax.Node {
	if url := o.nginx("auth-url"); url.String() != "" {
		return url
	}
	if strings.EqualFold(o.nginx("enable-global-auth").String(), "false") {
		return nil
	}
	return m.controller("global-auth-url")
}

// guarded are the Ingresses about whose paths the gate is asked.
func (m *manifests) guarded() (all []*object) {
	for _, o := range m.ingresses() {
		if endpoint.MatchString(m.question(o).String()) {
			all = append(all, o)
		}
	}
	return all
}

var ingressRules = []rule[*manifests]{
	{"kubernetes-ingress-endpoint", "an auth-url at the endpoint of another proxy, which reads headers that the controller does not write", ingressEndpoint},
	{"kubernetes-ingress-policy-from-client", "an auth-url whose policy is taken from what the client sends", ingressPolicy},
	{"kubernetes-ingress-identity-kept", "an Ingress whose auth-response-headers lacks an identity header: the client's passes", ingressIdentity},
	{"kubernetes-ingress-satisfy-any", "`satisfy: any`: an allowed address is let in without a token", ingressSatisfy},
	{"kubernetes-ingress-cache", "auth-cache-key: a decision is kept, and a removed device passes meanwhile", ingressCache},
	{"kubernetes-ingress-snippet", "a snippet that answers before the check, turns it off, or sets what the gate or the backend believes", ingressSnippet},
	{"kubernetes-ingress-error-pages", "custom-http-errors for a refusal, or for a gate that is absent: the page may take its place", ingressErrorPages},
	{"kubernetes-ingress-mirror", "copies of protected requests, which are not checked and carry the client's identity headers", ingressMirror},
	{"kubernetes-ingress-passthrough", "ssl-passthrough on a protected Ingress: nothing is checked", ingressPassthrough},
	{"kubernetes-ingress-annotation", "the gate's address in an annotation that ingress-nginx does not know: everybody is let in", ingressAnnotation},
	{"kubernetes-ingress-no-check", "`enable-global-auth: \"false\"` without an auth-url: nobody is asked", ingressNoCheck},
	{"kubernetes-ingress-controller", "a setting of ingress-nginx itself that lets aliases of the identity headers through, or paths past the check", ingressController},
	{"kubernetes-ingress-paths", "paths of one host with different demands that lead to one Service: ingress-nginx passes paths on as they came", ingressPaths},
	{"kubernetes-ingress-rewrite", "a rewrite-target, or use-regex, on a path with other demands than another one of the same Service has: it leads everywhere", ingressRewrite},
	{"kubernetes-identity-on-open", "an open path to a Service that has protected ones too: the client's identity headers pass there", ingressOpen},
}

// ingressEndpoint: each endpoint reads the headers of its own proxy (docs/seam.md, B4). Traefik reads these annotations too,
// and then asks with its own headers (proxies.md 1.1).
func ingressEndpoint(m *manifests, say say) {
	proxy := "nginx"
	if m.traefikStatic().Get("providers", "kubernetesIngressNGINX") != nil {
		proxy = "traefik"
	}
	for _, o := range m.guarded() {
		url := m.question(o)
		if found := endpoint.FindStringSubmatch(url.String()); found[1] != proxy {
			say(url.At(), fmt.Sprintf("/auth/%s reads headers that %s does not write, so the client does", found[1], proxy), fmt.Sprintf("auth-url: http://.../auth/%s?policy=...", proxy))
		}
	}
}

// ingressPolicy: nginx fills variables into the address; $http_x_policy is the client's (docs/seam.md, B22).
func ingressPolicy(m *manifests, say say) {
	for _, o := range m.guarded() {
		url := m.question(o)
		for _, found := range variables(url.String()) {
			if clients(found) {
				say(url.At(), fmt.Sprintf("the address has the client's $%.40s in it, so the client chooses its policy", found), "auth-url with a written policy: .../auth/nginx?policy=NAME")
			}
		}
	}
}

// variables returns the names of the variables of nginx in a text, in small letters.
func variables(text string) (all []string) {
	for _, found := range reference.FindAllStringSubmatch(text, -1) {
		all = append(all, strings.ToLower(found[1]))
	}
	return all
}

// ingressIdentity: ingress-nginx sets the headers of this list and no others (docs/seam.md, nginx: identity set; B1).
func ingressIdentity(m *manifests, say say) {
	for _, o := range m.guarded() {
		list := o.nginx("auth-response-headers")
		if o.nginx("auth-url") == nil {
			list = m.controller("global-auth-response-headers")
		}
		for _, name := range m.names.all() {
			if !listed(list, name) {
				say(at(list, m.question(o)), fmt.Sprintf("the client's own %s reaches the backend: nothing sets it", name),
					"auth-response-headers: "+strings.Join(m.names.all(), ","))
			}
		}
	}
}

// listed says whether a name is in a text of names with commas between them.
func listed(list *syntax.Node, name string) bool {
	for part := range strings.SplitSeq(list.String(), ",") {
		if strings.EqualFold(strings.TrimSpace(part), name) {
			return true
		}
	}
	return false
}

// forbidden tells annotations of guarded Ingresses that a rule forbids.
func (m *manifests) forbidden(name string, bad func(value string) bool, found func(n *syntax.Node)) {
	for _, o := range m.guarded() {
		if n := o.nginx(name); n != nil && bad(n.String()) {
			found(n)
		}
	}
}

func anything(value string) bool { return value != "" }

// ingressSatisfy: docs/seam.md, nginx: satisfy any.
func ingressSatisfy(m *manifests, say say) {
	m.forbidden("satisfy", func(v string) bool { return strings.EqualFold(v, "any") }, func(n *syntax.Node) {
		say(n.At(), "whoever comes from an allowed address is let in and the gate is not asked", "take satisfy out")
	})
}

// ingressCache: docs/seam.md, nginx: proxy_cache; proxies.md 1.2, B14. Where the key has no token in it, a decision is
// anybody's as well.
func ingressCache(m *manifests, say say) {
	tell := func(n *syntax.Node) {
		problem := "a decision is kept, and a device that is removed passes meanwhile"
		if !strings.Contains(strings.ToLower(n.String()), "$http_authorization") {
			problem += "; the key has no token in it, so that one client's decision is another's"
		}
		say(n.At(), problem, "take auth-cache-key out")
	}
	m.forbidden("auth-cache-key", anything, tell)
	if n := m.controller("global-auth-cache-key"); n.String() != "" && endpoint.MatchString(m.controller("global-auth-url").String()) {
		tell(n)
	}
}

// ingressErrorPages: within the check an intercepted refusal is a page, and its 200 an allow (docs/seam.md, nginx:
// proxy_intercept_errors with error_page in the check; CVE-2026-24513).
func ingressErrorPages(m *manifests, say say) {
	tell := func(n *syntax.Node) {
		say(n.At(), "a page may take the place of the gate's refusal, and its 200 lets everybody in", "custom-http-errors without 401, 403 and 5xx")
	}
	m.forbidden("custom-http-errors", refusals, tell)
	if n := m.controller("custom-http-errors"); len(m.guarded()) > 0 && refusals(n.String()) {
		tell(n)
	}
}

func refusals(codes string) bool {
	for part := range strings.SplitSeq(codes, ",") {
		if part = strings.TrimSpace(part); part == "401" || part == "403" || strings.HasPrefix(part, "5") {
			return true
		}
	}
	return false
}

// ingressMirror: docs/seam.md, nginx: mirror.
func ingressMirror(m *manifests, say say) {
	m.forbidden("mirror-target", anything, func(n *syntax.Node) {
		say(n.At(), "copies of requests go there unchecked, with the client's own identity headers", "take mirror-target out")
	})
}

// ingressPassthrough: what is not opened is not looked into (proxies.md 1.2).
func ingressPassthrough(m *manifests, say say) {
	m.forbidden("ssl-passthrough", func(v string) bool { return strings.EqualFold(v, "true") }, func(n *syntax.Node) {
		say(n.At(), "TLS goes to the backend unopened, and the gate is not asked", "take ssl-passthrough out")
	})
}

// ingressAnnotation: ingress-nginx passes over what it does not know without a word.
func ingressAnnotation(m *manifests, say say) {
	for _, o := range m.of(groupIngress, "Ingress") {
		for _, e := range o.Get("metadata", "annotations").Each() {
			if endpoint.MatchString(e.Value.String()) && strings.Contains(e.Value.String(), "://") && e.Key != nginxAnnotation+"auth-url" && !strings.HasPrefix(e.Key, "kubectl.kubernetes.io/") {
				say(e.Place, fmt.Sprintf("%.80s asks nobody: ingress-nginx does not know it", e.Key), nginxAnnotation+"auth-url: ...")
			}
		}
	}
}

// ingressNoCheck: what global-auth-url asks about, this takes out again.
func ingressNoCheck(m *manifests, say say) {
	for _, o := range m.ingresses() {
		n := o.nginx("enable-global-auth")
		backends := []backend{}
		for _, p := range o.paths() {
			backends = append(backends, p.backend)
		}
		if strings.EqualFold(n.String(), "false") && o.nginx("auth-url").String() == "" && !m.toGate(backends) {
			say(n.At(), "nobody is asked about this Ingress", "take enable-global-auth out, or an auth-url of its own")
		}
	}
}

// ingressController: docs/seam.md, nginx: underscores_in_headers on, ignore_invalid_headers off; B2, B3.
func ingressController(m *manifests, say say) {
	if len(m.guarded()) == 0 {
		return
	}
	if n := m.controller("enable-underscores-in-headers"); n.True() {
		say(n.At(), "Remote_User passes beside the gate's Remote-User, and many backends take it for that", `enable-underscores-in-headers: "false"`)
	}
	if n := m.controller("ignore-invalid-headers"); strings.EqualFold(n.String(), "false") {
		say(n.At(), "Remote~User and twelve more pass beside the gate's Remote-User, and some backends take them for that", `ignore-invalid-headers: "true"`)
	}
	if n := m.controller("no-auth-locations"); n != nil && n.String() != "/.well-known/acme-challenge" {
		say(n.At(), fmt.Sprintf("nobody is asked about paths that begin with %.60s, on any host", n.String()), "no-auth-locations: /.well-known/acme-challenge")
	}
}

// ingressSides calls for each path of a Service that has others with other demands, about which the gate is asked. A
// demand is the address that is asked, or nothing.
func (m *manifests) ingressSides(found func(p, beside ingressPath)) {
	services, order := map[string][]ingressPath{}, []string(nil)
	for _, o := range m.ingresses() {
		// A canary has the annotations of the Ingress that it stands beside.
		canary, demand := strings.EqualFold(o.nginx("canary").String(), "true"), m.question(o).String()
		for _, p := range o.paths() {
			if p.demand = demand; canary || m.toGate([]backend{p.backend}) {
				continue
			}
			if services[p.backend.id] == nil {
				order = append(order, p.backend.id)
			}
			services[p.backend.id] = append(services[p.backend.id], p)
		}
	}
	for _, id := range order {
		for _, p := range services[id] {
			if i := slices.IndexFunc(services[id], func(other ingressPath) bool { return p.beside(other, true) }); i >= 0 {
				found(p, services[id][i])
			} else if i := slices.IndexFunc(services[id], func(other ingressPath) bool { return p.beside(other, false) }); i >= 0 {
				found(p, services[id][i])
			}
		}
	}
}

// beside says whether a path of the same Service has other demands, on the same host where that is asked for.
func (p ingressPath) beside(other ingressPath, host bool) bool {
	return p.demand != other.demand && endpoint.MatchString(other.demand) && (!host || p.host == other.host)
}

// ingressOpen: a backend that serves protected paths believes the header on open ones too (docs/seam.md, nginx:
// identity emptied on open locations; B1).
func ingressOpen(m *manifests, say say) {
	m.ingressSides(func(p, beside ingressPath) {
		if p.demand != "" {
			return
		}
		for _, name := range m.names.all() {
			if !m.clears(p.ingress, name) {
				say(p.At(), fmt.Sprintf("nobody is asked about %.60s%.60s, and the client's own %s reaches the Service %.60s, which has protected paths too (line %d)", p.host, p.path, name, p.backend.id, beside.Line),
					"an auth-url, or a Service of its own")
			}
		}
	})
}

// clears says whether the snippet of an Ingress empties a header on its way to the backend.
func (m *manifests) clears(o *object, name string) bool {
	lines, _ := m.snippet(o, "configuration-snippet")
	for _, d := range lines {
		empties := d.Name == "proxy_set_header" && d.Arg(1) == "" && len(d.Args) > 1 || d.Name == "more_clear_input_headers"
		if empties && slices.ContainsFunc(d.Args, func(a string) bool { return strings.EqualFold(a, name) }) {
			return true
		}
	}
	return false
}

// ingressPaths: nginx cleans a path to choose the location, and passes it on as it came (docs/seam.md, nginx: dot
// segments; B7). Annotations have no word for a refusal, a snippet of the server has.
func ingressPaths(m *manifests, say say) {
	told := map[string]bool{}
	m.ingressSides(func(p, beside ingressPath) {
		paths := together(dotSegments, dotParameters, encodedDots, encodedEscapes, encodedSlashes, []string{"/open/#/../../x"})
		if p.host != beside.host || told[p.host+" "+p.backend.id] {
			return
		}
		told[p.host+" "+p.backend.id] = true
		if missed := m.refusedOn(p.host).misses(paths); missed != "" {
			say(p.At(), fmt.Sprintf("%s is one path to nginx and another to the Service %.60s, whose paths on the host %.60s have different demands (line %d)", missed, p.backend.id, p.host, beside.Line),
				"a host of its own for what has other demands")
		}
	})
}

// refusedOn returns the expressions of paths that the snippets of a host refuse.
func (m *manifests) refusedOn(host string) (all refusal) {
	for _, o := range m.ingresses() {
		if !slices.ContainsFunc(o.paths(), func(p ingressPath) bool { return p.host == host }) {
			continue
		}
		lines, _ := m.snippet(o, "server-snippet")
		for _, d := range lines {
			code := 0
			if r := d.First("return"); r != nil {
				code, _ = strconv.Atoi(r.Arg(0))
			}
			test := condition.FindStringSubmatch(strings.Join(d.Args, " "))
			if d.Name != "if" || code < 400 || test == nil {
				continue
			}
			if e, err := expression(strings.Trim(test[2], `"'`), test[1] == "~*", false); err == nil {
				all = append(all, e)
			}
		}
	}
	return all
}

// ingressRewrite: with a target a path leads wherever its expression allows, and with use-regex every path of the host
// is a prefix without regard to letter case.
func ingressRewrite(m *manifests, say say) {
	told := map[*syntax.Node]bool{}
	m.ingressSides(func(p, beside ingressPath) {
		for _, name := range []string{"rewrite-target", "use-regex"} {
			n := p.ingress.nginx(name)
			if n != nil && !strings.EqualFold(n.String(), "false") && !told[n] {
				told[n] = true
				say(n.At(), fmt.Sprintf("%.60s%.60s leads to more of the Service %.60s than is written there, and has other demands than its path of line %d", p.host, p.path, p.backend.id, beside.Line),
					"paths without "+name+", or a Service of its own")
			}
		}
	})
}

// snippetLines are the statements of a snippet; err is why they cannot be read.
type snippetLines struct {
	lines []*syntax.Directive
	err   error
}

// snippet returns the statements of a snippet, none where there is none.
func (m *manifests) snippet(o *object, name string) ([]*syntax.Directive, error) {
	n := o.nginx(name)
	if n.String() == "" {
		return nil, nil
	}
	s, read := m.snippets[n]
	if !read {
		if m.lines[o.source] == nil {
			m.lines[o.source] = strings.Split(string(o.source.text), "\n")
		}
		s.lines, s.err = syntax.Nginx(n.File, within(m.lines[o.source], n))
		m.snippets[n] = s
	}
	return s.lines, s.err
}

// ingressSnippet: what a snippet says counts beside, and before, what the annotations make (docs/seam.md, nginx: return
// in a protected location, satisfy any, X-Accel-Redirect obeyed, underscores_in_headers on; B26).
func ingressSnippet(m *manifests, say say) {
	guarded := m.guarded()
	for _, o := range m.ingresses() {
		for _, name := range []string{"server-snippet", "configuration-snippet", "auth-snippet"} {
			lines, err := m.snippet(o, name)
			if err == nil && len(lines) == 0 || !slices.Contains(guarded, o) && (name != "server-snippet" || !sharesHost(o, guarded)) {
				continue
			}
			if err != nil {
				say(o.nginx(name).At(), fmt.Sprintf("the %s cannot be read, and is not judged", name), "statements of nginx, or none")
				continue
			}
			m.judgeSnippet(name, lines, false, say)
		}
	}
}

func sharesHost(o *object, others []*object) bool {
	for _, p := range o.paths() {
		for _, other := range others {
			if slices.ContainsFunc(other.paths(), func(q ingressPath) bool { return p.host == q.host }) {
				return true
			}
		}
	}
	return false
}

// judgeSnippet judges the lines of a snippet, those of blocks too. In a location of its own nobody is asked.
func (m *manifests) judgeSnippet(snippet string, lines []*syntax.Directive, own bool, say say) {
	for _, d := range lines {
		if problem := m.snippetLine(snippet, d, own); problem != "" {
			say(d.Place, problem, "take the line out of the "+snippet)
		}
		m.judgeSnippet(snippet, d.Block, own || d.Name == "location", say)
	}
}

func (m *manifests) snippetLine(snippet string, d *syntax.Directive, own bool) string {
	code, _ := strconv.Atoi(d.Arg(0))
	check := snippet == "auth-snippet"
	switch {
	case d.Name == "return" && code/100 == 2 && !own:
		return fmt.Sprintf("return %d answers everybody before the check is asked", code)
	case d.Name == "auth_request" && d.Arg(0) == "off":
		return "auth_request off: nobody is asked"
	case d.Name == "satisfy" && d.Arg(0) == "any":
		return "with satisfy any, whoever comes from an allowed address is let in"
	case own && strings.HasSuffix(d.Name, "_pass"):
		return "a location of its own that leads to a backend and asks nobody"
	case strings.Contains(d.Name, "_by_lua"):
		return d.Name + " is a program, which is not judged"
	case d.Name == "underscores_in_headers" && d.Arg(0) == "on", d.Name == "ignore_invalid_headers" && d.Arg(0) == "off":
		return "aliases of the identity headers pass beside the gate's, and many backends take them for these"
	case (d.Name == "proxy_set_header" && d.Arg(1) != "" || d.Name == "more_set_input_headers") && !check && m.identity(d.Arg(0)):
		return fmt.Sprintf("%.60s is set beside what the gate says", d.Arg(0))
	case check && d.Name == "proxy_set_header" && slices.ContainsFunc([]string{"X-Original-URL", "X-Original-Method", "X-Forwarded-For", "Authorization"}, func(n string) bool { return strings.EqualFold(n, d.Arg(0)) }):
		return fmt.Sprintf("the gate is told another %.40s than the client's request has", d.Arg(0))
	case check && slices.Contains([]string{"rewrite", "proxy_pass", "error_page", "proxy_intercept_errors", "proxy_cache", "proxy_cache_valid"}, d.Name):
		return d.Name + " within the check changes what the gate answers"
	}
	return ""
}

func (m *manifests) identity(name string) bool {
	name, _, _ = strings.Cut(name, ":") // more_set_input_headers has name and value in one word
	return slices.ContainsFunc(m.names.all(), func(n string) bool { return strings.EqualFold(n, name) })
}
