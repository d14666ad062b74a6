package snippet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"devicegate/config"
)

// view is what the templates see. Every text in it has been checked.
type view struct {
	Proxy  string
	GRPC   bool
	Checks endpoint
	API    endpoint // only where APIPaths are
	App    endpoint

	Headers  []header
	Main     policy
	Others   []policy // the longest path first
	Open     string   // the path that everybody may have
	APIPaths []string // of the gate's API; none where it is off

	Peers, Trusted string // the networks, for people
}

// header is an identity header.
type header struct {
	Name string
	Gate string // the variable of nginx that holds its value
}

// Lower returns the name as HTTP/2 and Envoy write it.
func (h header) Lower() string { return strings.ToLower(h.Name) }

// Variable returns the name as nginx has it in its variables.
func (h header) Variable() string { return strings.ReplaceAll(h.Lower(), "-", "_") }

// policy is one set of demands, and the route that is its sample.
type policy struct {
	Name, Path string
	Remove     bool   // authorization: remove
	Note       string // what surprises in it
}

// Priority is the rank of a route of Traefik's: between that for everything, 10, and the open ones, 90.
func (p policy) Priority() int { return 10 + len(p.Path) }

// PathRegex is the path for a comparison that has to be strict.
func (p policy) PathRegex() string { return "^/+" + literalDots(p.Path[1:]) }

func newView(p proxy, cfg *config.Config, o Options) (*view, error) {
	v := &view{Proxy: p.name, GRPC: p.grpc, Peers: networks(cfg.Checks.AllowedPeers), Trusted: networks(cfg.TrustedProxies)}
	if err := v.setEndpoints(p, cfg, o); err != nil {
		return nil, err
	}
	if err := v.setAPIPaths(p, cfg); err != nil {
		return nil, err
	}
	if err := v.setHeaders(cfg.IdentityHeaders); err != nil {
		return nil, err
	}
	return v, v.setPolicies(cfg.Policies, o.Policy)
}

func (v *view) setEndpoints(p proxy, cfg *config.Config, o Options) (err error) {
	checks := listener{key: "checks.http", address: cfg.Checks.HTTP.Address, tls: cfg.Checks.HTTP.TLS}
	if p.grpc {
		checks = listener{key: "checks.grpc", address: cfg.Checks.GRPC.Address, tls: cfg.Checks.GRPC.TLS}
	}
	if checks.address.Off() {
		return fmt.Errorf("%s.address is off, and %s asks there; set it", checks.key, p.name)
	}
	if v.Checks, err = checks.endpoint(p, o.ServerName); err != nil {
		return err
	}
	if !cfg.API.Address.Off() {
		api := listener{key: "api", address: cfg.API.Address, tls: cfg.API.TLS}
		if v.API, err = api.endpoint(p, o.ServerName); err != nil {
			return err
		}
	}
	v.App, err = upstream(o.Upstream)
	return err
}

// apiPaths lead to the API where it has no base path.
var apiPaths = []string{"/api/token", "/api/password", "/trusted-devices", "/login-activity", "/.well-known/jwks.json", "/openapi.json"}

func (v *view) setAPIPaths(p proxy, cfg *config.Config) error {
	v.Open = "/open/"
	base := cfg.API.BasePath
	switch {
	case cfg.API.Address.Off():
		return nil
	case base == "":
		v.APIPaths = apiPaths
		return nil
	case !plainPath(base):
		return fmt.Errorf("api.base_path %.40q has a character that a snippet cannot hold", base)
	case p.name == "nginx" && strings.HasPrefix(base+"/", "/_devicegate/"):
		return fmt.Errorf("api.base_path %.40q begins as the checks' own locations do; choose another", base)
	}
	v.APIPaths = []string{base + "/"}
	if strings.HasPrefix(v.APIPaths[0], v.Open) {
		v.Open = "/public/"
	}
	return nil
}

func (v *view) setHeaders(names config.IdentityHeaders) error {
	all := []header{{names.User, "$gate_user"}, {names.Roles, "$gate_groups"}, {names.Device, "$gate_device"}}
	if names.Assertion != "" {
		all = append(all, header{names.Assertion, "$gate_assertion"})
	}
	for _, h := range all {
		if !plainHeader(h.Name) {
			return fmt.Errorf("identity_headers: %.40q is no name that a snippet can hold; write letters, digits and dashes", h.Name)
		}
	}
	v.Headers = all
	return nil
}

func (v *view) setPolicies(policies map[string]config.Policy, main string) error {
	if main == "" {
		main = config.DefaultPolicy
	}
	if _, ok := policies[main]; !ok {
		return fmt.Errorf("there is no policy %.40q in the configuration", main)
	}
	for name, p := range policies {
		if !plainPolicy(name) {
			return fmt.Errorf("policies: %.40q is no name that a snippet can hold", name)
		}
		one := policy{Name: name, Path: v.pathOf(name), Remove: p.Authorization == config.PolicyRemove, Note: note(p)}
		if name == main {
			v.Main = one
		} else {
			v.Others = append(v.Others, one)
		}
	}
	slices.SortFunc(v.Others, func(a, b policy) int {
		if n := len(b.Path) - len(a.Path); n != 0 {
			return n
		}
		return strings.Compare(a.Path, b.Path)
	})
	return nil
}

// pathOf returns the sample path of a policy: its name, unless that path is the API's or open. No name begins
// with a dash, so none has the path of another.
func (v *view) pathOf(name string) string {
	for _, taken := range append([]string{v.Open}, v.APIPaths...) {
		if first, _, _ := strings.Cut(taken[1:], "/"); first == name {
			return "/-" + name
		}
	}
	return "/" + name
}

// note says of a policy what is not to be expected of something that is called protected.
func note(p config.Policy) string {
	switch {
	case p.Mode == config.PolicyReport:
		return "Nothing is refused here (mode: report), and nobody is known."
	case p.Anonymous == config.PolicyAllow:
		return "Who sends no token passes too, as nobody (anonymous: allow)."
	}
	return ""
}

// Policies returns all of them, the main one first.
func (v *view) Policies() []policy { return append([]policy{v.Main}, v.Others...) }

// ShorterFirst returns the others for a language in which the last that matches counts.
func (v *view) ShorterFirst() []policy {
	reversed := slices.Clone(v.Others)
	slices.Reverse(reversed)
	return reversed
}

// AnyRemove says whether a policy keeps the access token from the backend.
func (v *view) AnyRemove() bool {
	return slices.ContainsFunc(v.Policies(), func(p policy) bool { return p.Remove })
}

// NamePad and GatePad are the widths of what stands in columns.
func (v *view) NamePad() int { return widest(v.Headers, func(h header) string { return h.Name }) }

// GatePad is the width of nginx's variables.
func (v *view) GatePad() int {
	return max(len("$gate_reason"), widest(v.Headers, func(h header) string { return h.Gate }))
}

func widest(headers []header, text func(header) string) (n int) {
	for _, h := range headers {
		n = max(n, len(text(h)))
	}
	return n
}

// APIRegex is the beginning of the API's paths.
func (v *view) APIRegex() string {
	if len(v.APIPaths) == 1 {
		return "^" + literalDots(v.APIPaths[0])
	}
	return "^(" + literalDots(strings.Join(v.APIPaths, "|")) + ")"
}

// OddNames are the characters, besides letters, digits and the dash, that the name of a header may have and
// that Caddy leaves, as its configuration writes them.
func (v *view) OddNames() []string { return strings.Split("~!#$%&'*+^`|", "") }

// HeaderRegex takes the identity headers and every name that a backend may read as one of them.
func (v *view) HeaderRegex() string {
	const gap = "[^a-z0-9]*"
	var stems []string
	ends := map[string][]string{}
	for _, h := range v.Headers {
		words := strings.FieldsFunc(h.Lower(), func(r rune) bool { return r == '-' })
		stem := ""
		for _, word := range words[:len(words)-1] {
			stem += word + gap
		}
		if ends[stem] == nil {
			stems = append(stems, stem)
		}
		ends[stem] = append(ends[stem], words[len(words)-1])
	}
	for i, stem := range stems {
		stems[i] = stem + "(" + strings.Join(ends[stem], "|") + ")"
	}
	if len(stems) == 1 {
		return "(?i)^" + stems[0] + "$"
	}
	return "(?i)^(" + strings.Join(stems, "|") + ")$"
}

// cluster is one of Envoy's.
type cluster struct {
	Cluster  string
	Endpoint endpoint
	HTTP2    bool
}

// Clusters are what Envoy talks to.
func (v *view) Clusters() []cluster {
	all := []cluster{{"backend", v.App, false}, {"gate", v.Checks, v.GRPC}}
	if len(v.APIPaths) > 0 {
		all = append(all, cluster{"gate_api", v.API, false})
	}
	return all
}

// shownNetworks is how many networks a comment names.
const shownNetworks = 8

func networks(list []netip.Prefix) string {
	if len(list) == 0 {
		return "none"
	}
	var names []string
	for i, p := range list {
		if i == shownNetworks {
			names = append(names, fmt.Sprintf("%d more", len(list)-i))
			break
		}
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}
