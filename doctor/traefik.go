package doctor

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"devicegate/doctor/syntax"
)

// traefikSite is all the files of Traefik together: the static configuration and the dynamic ones.
type traefikSite struct {
	names   Names
	entries []traefikEntry // entry points; none where no static configuration was read
	routers []*traefikRouter
	wares   map[string]*traefikWare

	services  map[string][]string // addresses of servers, by the service's name
	tcp       []tcpRouter
	providers []syntax.Entry // other than files
	manifests bool           // a part of it is in manifests of Kubernetes
}

// tcpRouter is a router of TCP with the addresses that it leads to.
type tcpRouter struct {
	syntax.Entry
	addresses []string
}

type traefikEntry struct {
	syntax.Entry
	wares []string // of every router at this entry point
}

type traefikRouter struct {
	syntax.Entry
	at       []string // names of entry points; empty: all
	wares    []*syntax.Node
	chain    []*traefikWare // that were found, chains resolved
	missing  []*syntax.Node // that are in no file
	unknown  bool           // one is of another provider
	service  string
	rule     string
	priority int
}

type traefikWare struct {
	syntax.Entry
	used bool
}

func (w *traefikWare) forward() *syntax.Node { return w.Value.Get("forwardAuth") }

// newTraefik puts the files together.
func newTraefik(files []*syntax.Node, n Names) *traefikSite {
	s := &traefikSite{names: n, wares: map[string]*traefikWare{}, services: map[string][]string{}}
	for _, f := range files {
		s.serves(f)
		for _, e := range f.Get("entryPoints").Each() {
			s.entries = append(s.entries, traefikEntry{e, e.Value.Get("http", "middlewares").Strings()})
		}
		for _, e := range f.Get("http", "middlewares").Each() {
			s.wares[e.Key] = &traefikWare{Entry: e}
		}
	}
	for _, f := range files {
		for _, e := range f.Get("http", "routers").Each() {
			s.routers = append(s.routers, s.router(e))
		}
	}
	return s
}

// serves notes the services of a file, its routers of TCP and its other providers.
func (s *traefikSite) serves(f *syntax.Node) {
	for _, e := range f.Get("http", "services").Each() {
		for _, server := range e.Value.Get("loadBalancer", "servers").List() {
			s.services[e.Key] = append(s.services[e.Key], server.Get("url").String())
		}
	}
	for _, e := range f.Get("tcp", "routers").Each() {
		r := tcpRouter{Entry: e}
		name, _, _ := strings.Cut(e.Value.Get("service").String(), "@")
		for _, server := range f.Get("tcp", "services", name, "loadBalancer", "servers").List() {
			r.addresses = append(r.addresses, server.Get("address").String())
		}
		s.tcp = append(s.tcp, r)
	}
	for _, e := range f.Get("providers").Each() {
		if e.Value != nil && e.Value.Kind == syntax.Map && !slices.Contains([]string{"file", "plugin"}, syntax.Fold(e.Key)) {
			s.providers = append(s.providers, e)
		}
	}
}

func (s *traefikSite) router(e syntax.Entry) *traefikRouter {
	r := &traefikRouter{Entry: e, at: e.Value.Get("entryPoints").Strings(), wares: e.Value.Get("middlewares").List(),
		service: e.Value.Get("service").String(), rule: e.Value.Get("rule").String()}
	r.priority, _ = strconv.Atoi(e.Value.Get("priority").String())
	if r.priority == 0 {
		r.priority = len(r.rule) // Traefik's own default
	}
	for _, name := range s.shared(r) { // those of the entry point come first
		s.follow(r, &syntax.Node{Place: e.Place, Kind: syntax.Scalar, Text: name}, 0)
	}
	for _, ware := range r.wares {
		s.follow(r, ware, 0)
	}
	return r
}

// shared returns the middlewares that every entry point of the router has.
func (s *traefikSite) shared(r *traefikRouter) (all []string) {
	for i, e := range s.ofRouter(r) {
		if i == 0 {
			all = slices.Clone(e.wares)
		}
		all = slices.DeleteFunc(all, func(name string) bool { return !slices.Contains(e.wares, name) })
	}
	return all
}

// internalEntry is the entry point of Traefik's own pages. No router is there that does not name it.
const internalEntry = "traefik"

// ofRouter returns the entry points of a router: those that it names, else those that are the default, else all.
func (s *traefikSite) ofRouter(r *traefikRouter) (all []traefikEntry) {
	byDefault := slices.ContainsFunc(s.entries, func(e traefikEntry) bool { return e.Value.Get("asDefault").True() })
	for _, e := range s.entries {
		common := e.Key != internalEntry && (!byDefault || e.Value.Get("asDefault").True())
		if len(r.at) == 0 && common || slices.Contains(r.at, e.Key) {
			all = append(all, e)
		}
	}
	return all
}

// follow adds a middleware to the router's chain, and those that it is a chain of.
func (s *traefikSite) follow(r *traefikRouter, ware *syntax.Node, depth int) {
	name, provider, _ := strings.Cut(ware.String(), "@")
	found := s.wares[name]
	switch {
	case provider == "kubernetescrd" && found == nil, provider != "" && provider != "file" && provider != "kubernetescrd", depth > 16:
		r.unknown = true
	case found == nil:
		r.missing = append(r.missing, ware)
	case slices.Contains(r.chain, found): // chains of chains name it again and again
	default:
		found.used = true
		r.chain = append(r.chain, found)
		for _, inner := range found.Value.Get("chain", "middlewares").List() {
			s.follow(r, inner, depth+1)
		}
	}
}

// gate returns the middleware of the router that asks somebody, nil where none does.
func (r *traefikRouter) gate() *traefikWare {
	for _, w := range r.chain {
		if w.forward() != nil {
			return w
		}
	}
	return nil
}

// answers says whether Traefik itself answers, so that nothing comes to a backend.
func (r *traefikRouter) answers() bool { return strings.HasSuffix(r.service, "@internal") }

// class is what stands before a router: the addresses that are asked, or nothing. Of a router whose middlewares
// are not all known nothing is said.
func (r *traefikRouter) class() (class string, known bool) {
	for _, w := range r.chain {
		if asked := w.forward().Get("address").String(); asked != "" && !strings.Contains(class+" ", " "+asked+" ") {
			class += " " + asked
		}
	}
	if class != "" {
		return class, true
	}
	return "", !r.unknown && len(r.missing) == 0
}

// backed returns the routers that lead to a backend and are known: open ones, or protected ones.
func (s *traefikSite) backed(open bool) (all []*traefikRouter) {
	for _, r := range s.routers {
		if class, known := r.class(); known && !r.answers() && (class == "") == open {
			all = append(all, r)
		}
	}
	return all
}

// mixed says whether routes of different demands stand side by side, as far as the files show.
func (s *traefikSite) mixed() bool {
	classes := map[string]bool{}
	for _, r := range append(s.backed(true), s.backed(false)...) {
		class, _ := r.class()
		classes[class] = true
	}
	return len(classes) > 1 || len(s.routers) == 0
}

// forwards returns the middlewares that ask the gate.
func (s *traefikSite) forwards() (all []*traefikWare) {
	for _, w := range s.wares {
		if endpoint.MatchString(w.forward().Get("address").String()) {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b *traefikWare) int { return a.Line - b.Line })
	return all
}

// protects says whether anything in the files asks the gate. An entry point alone may be the gate's: its
// routers can be elsewhere.
func (s *traefikSite) protects() bool { return len(s.forwards()) > 0 || len(s.routers) == 0 }

// dropsAliases says whether an entry point deletes or refuses odd header names.
func (e traefikEntry) dropsAliases() bool {
	word := e.Value.Get("http", "aliasHeadersStrategy").String()
	return strings.EqualFold(word, "delete") || strings.EqualFold(word, "reject")
}

// takes says whether the middleware removes what a client sends under a name.
func takes(forward *syntax.Node, name string) bool {
	for _, listed := range forward.Get("authResponseHeaders").Strings() {
		if strings.EqualFold(listed, name) {
			return true
		}
	}
	text := forward.Get("authResponseHeadersRegex").String()
	e, err := regexp.Compile(text)
	return text != "" && err == nil && e.MatchString(canonical(name))
}

// canonical is a header's name as Go's server hands it on.
func canonical(name string) string {
	parts := strings.Split(strings.ToLower(name), "-")
	for i, p := range parts {
		if p != "" {
			parts[i] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "-")
}

// everybody says whether a list of networks holds all addresses, or so many that a few such lines would.
func everybody(networks []string) bool {
	return slices.ContainsFunc(networks, func(text string) bool {
		p, err := netip.ParsePrefix(text)
		return err == nil && p.Bits() < 4
	})
}
