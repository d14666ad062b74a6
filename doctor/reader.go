package doctor

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"devicegate/config"
	"devicegate/doctor/syntax"
)

// Options is how files are read.
type Options struct {
	// Proxy is the kind of every file of a proxy, one of Proxies; empty: what is in it says. Of a word that is
	// none of them no file is.
	Proxy string
	// Config is where the gate's own configuration is, which gives the names of the identity headers and the
	// policies, and is judged as well. One that is not required gives way to one among the files. Without any
	// the names are the defaults, and policies are not compared.
	Config config.Source
	// Stdin is the file "-".
	Stdin io.Reader
}

// Report is what reading showed.
type Report struct {
	Findings []Finding // by file and line
	Read     []string  // the files that were judged, those that others include too
	Skipped  []string  // files of folders that are not judged, each with the reason
	Asks     int       // places at which a proxy asks the gate
	Rules    int       // rules that were applied
}

// Bounds on what is read. Real files are far below.
const (
	maxFile  = 4 << 20 // bytes
	maxFiles = 2000
)

// Codes of what is found before a rule is asked.
var readingRules = []Rule{
	{"cannot-read", "a file or folder that cannot be read"},
	{"cannot-parse", "a file that is not what it seems to be: nothing of it is judged"},
	{"unknown-kind", "a file whose kind is not seen: nothing of it is judged"},
	{"include-missing", "an include, import or script that is not there, or comes by without an end: what it says is not judged"},
	{"envoy-check-not-read", "an ext_authz within another filter, or from elsewhere, which is not judged"},
	{"nginx-no-server", "a part of a configuration of nginx that no file includes"},
	{"kubernetes-not-read", "a file of manifests with no object of a kind that is judged"},
	{"compose-not-read", "a compose file that configures Traefik by labels or arguments, which are not judged"},
	{"nothing-read", "a call whose files and folders hold nothing that is judged"},
	{"asks-nobody", "files of proxies none of which asks the gate"},
}

// Files reads configuration files and folders and returns what is wrong with them, together: a policy that
// one file names is looked for in another. A file that cannot be read or judged is a finding.
func Files(paths []string, o Options) Report {
	r := &reader{options: o, parsed: map[string]*source{}}
	for _, path := range paths {
		r.add(path)
	}
	r.configuration()
	r.judge()
	report := r.report()
	if len(report.Read) == 0 && len(report.Findings) == 0 && len(paths) > 0 { // a folder that was moved must not look sound
		report.Findings = []Finding{{Code: "nothing-read", Where: syntax.Place{File: paths[0], Line: 1}.String(),
			Problem: "there is nothing here that is judged", Fix: "the files or the folder of the proxy"}}
	}
	return report
}

// source is one file.
type source struct {
	name     string
	kind     kind
	text     []byte
	nodes    []*syntax.Node
	top      []*syntax.Directive
	folder   bool // it was found in a folder, not named
	included bool
	unused   bool // it is a part that nothing includes
}

type reader struct {
	options  Options
	sources  []*source
	parsed   map[string]*source // by name
	findings []Finding
	told     map[Finding]bool // the same, to find each once
	skipped  []string
	asks     []ask
	rules    int

	toldTooMuch bool
	gates       []*gateSite
	kubernetes  *manifests
}

func (r *reader) find(code string, at syntax.Place, problem, fix string) {
	f := Finding{Code: code, Where: at.String(), Problem: problem, Fix: fix}
	if r.told[f] {
		return
	}
	if r.told == nil {
		r.told = map[Finding]bool{}
	}
	r.told[f] = true
	r.findings = append(r.findings, f)
}

// add reads a file, or all files of a folder.
func (r *reader) add(path string) {
	if path == "-" {
		text, err := bounded(r.options.Stdin)
		if err != nil {
			r.unreadable("standard input", err)
			return
		}
		r.take("standard input", text, false)
		return
	}
	info, err := os.Stat(path)
	if err != nil {
		r.unreadable(path, err)
		return
	}
	if !info.IsDir() {
		r.file(path, false)
		return
	}
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.unreadable(name, err)
		case name != path && strings.HasPrefix(entry.Name(), "."):
			r.skip(name, "hidden")
			if entry.IsDir() {
				return filepath.SkipDir
			}
		case entry.IsDir():
		case slices.Contains(noConfiguration, strings.ToLower(filepath.Ext(name))):
			r.skip(name, "no configuration by its name")
		case len(r.sources) >= maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		default:
			r.file(name, true)
		}
		return nil
	})
	if err != nil {
		r.unreadable(path, err)
	}
}

// noConfiguration are endings of files that lie beside configurations in a folder and are none.
var noConfiguration = []string{".md", ".txt", ".pem", ".crt", ".cer", ".key", ".csr", ".db", ".sock", ".pid", ".log", ".bak", ".html", ".png", ".svg", ".so", ".gz", ".zip", ".mmdb", ".go", ".py", ".sh"}

func (r *reader) skip(name, reason string) { r.skipped = append(r.skipped, name+": "+reason) }

func (r *reader) unreadable(name string, err error) {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	r.find("cannot-read", syntax.Place{File: name, Line: 1}, fmt.Sprintf("it cannot be read: %v", err), "a file or folder that is there and readable")
}

func (r *reader) file(name string, folder bool) {
	if r.parsed[name] != nil {
		return
	}
	text, err := readFile(name)
	if err != nil {
		r.unreadable(name, err)
		return
	}
	r.take(name, text, folder)
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file") // opening a pipe would wait for its writer, for ever
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	content, err := bounded(f)
	return content, errors.Join(err, f.Close())
}

func bounded(from io.Reader) ([]byte, error) {
	if from == nil {
		return nil, errors.New("there is none")
	}
	text, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("larger than %d MiB: this is no configuration file", maxFile>>20)
	}
	return text, err
}

// noProxy are the kinds of files that lie beside those of a proxy, whatever Options.Proxy says.
var noProxy = []kind{kindGate, kindLua, kindCompose, kindKubernetes}

// take notes a file with its kind. The output of nginx -T is the files that it is made of.
func (r *reader) take(name string, text []byte, folder bool) {
	if parts := dumped(text); parts != nil && (r.options.Proxy == "" || r.options.Proxy == "nginx") {
		for _, p := range parts {
			r.keep(&source{name: p.name, text: p.text, kind: kindNginx})
		}
		return
	}
	s := &source{name: name, text: text, folder: folder}
	var err error
	s.kind, s.nodes, err = seen(name, text)
	if proxy := r.options.Proxy; proxy != "" && !slices.Contains(noProxy, s.kind) {
		s.kind, s.nodes, err = kindUnknown, nil, nil
		if slices.Contains(Proxies, proxy) {
			s.kind = kind(proxy)
			err = s.read()
		}
	}
	r.parsed[name] = s
	switch {
	case err != nil:
		r.broken(err, name, folder)
	case s.kind == kindUnknown:
		r.find("unknown-kind", syntax.Place{File: name, Line: 1}, "it is not seen what this file is, and nothing of it is judged", "the file of a proxy, or --proxy NAME"+inFolder(folder))
	default:
		r.keep(s)
	}
}

// keep parses a file of statements and notes it.
func (r *reader) keep(s *source) {
	r.parsed[s.name] = s
	if s.top == nil && s.nodes == nil {
		if err := s.read(); err != nil {
			r.broken(err, s.name, s.folder)
			return
		}
	}
	r.sources = append(r.sources, s)
}

// read parses the text by the kind.
func (s *source) read() (err error) {
	switch s.kind {
	case kindNginx:
		s.top, err = syntax.Nginx(s.name, s.text)
	case kindCaddy:
		s.top, err = syntax.Caddyfile(s.name, s.text)
	case kindHAProxy:
		if strings.EqualFold(filepath.Ext(s.name), ".lua") {
			s.kind = kindLua
			return nil
		}
		s.top, err = syntax.HAProxy(s.name, s.text)
	case kindLua:
	default:
		if strings.EqualFold(filepath.Ext(s.name), ".toml") {
			var n *syntax.Node
			n, err = syntax.TOML(s.name, s.text)
			s.nodes = []*syntax.Node{n}
			return err
		}
		s.nodes, err = syntax.YAML(s.name, s.text)
	}
	return err
}

// inFolder is what else can be done about a file that came with its folder.
func inFolder(folder bool) string {
	return map[bool]string{true: "; or name the files instead of the folder"}[folder]
}

func (r *reader) broken(err error, name string, folder bool) {
	at, text := syntax.Place{File: name, Line: 1}, err.Error()
	if e := (*syntax.Error)(nil); errors.As(err, &e) {
		at, text = e.Place, e.Text
	}
	r.find("cannot-parse", at, fmt.Sprintf("%.200s; nothing of the file is judged", text), "a file that the proxy itself takes"+inFolder(folder))
}

// sameFile says whether two names are those of one file.
func sameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

func (r *reader) of(k kind) (all []*source) {
	for _, s := range r.sources {
		if s.kind == k {
			all = append(all, s)
		}
	}
	return all
}

// configuration reads what the gate says, first that which the options name.
func (r *reader) configuration() {
	among := len(r.of(kindGate)) > 0
	if name := r.options.Config.File; name != "" && (r.options.Config.FileRequired || !among) {
		var root *syntax.Node
		if text, err := readFile(name); err == nil {
			if nodes, err := syntax.YAML(name, text); err == nil && len(nodes) > 0 {
				root = nodes[0]
			}
		}
		r.gates = append(r.gates, loadGate(r.options.Config, root))
	}
	for _, s := range r.of(kindGate) {
		if s.name == "standard input" {
			r.find("cannot-read", s.nodes[0].At(), "the gate's own configuration is read from a file only", "devicegate doctor --config FILE")
			continue
		}
		if !sameFile(s.name, r.options.Config.File) {
			r.gates = append(r.gates, loadGate(config.Source{File: s.name, FileRequired: true}, s.nodes[0]))
		}
	}
	r.readManifests()
}

// judge has every rule look at what it is about.
func (r *reader) judge() {
	n := DefaultNames()
	if len(r.gates) > 0 {
		n = r.gates[0].names()
	}
	r.judgeNginx(n)
	r.judgeTraefik(n)
	r.judgeEnvoy(n)
	r.judgeCaddy(n)
	r.judgeHAProxy(n)
	r.judgeKubernetes(n)
	r.judgeOthers()
	var proxy *syntax.Place // anything of a proxy
	for _, s := range r.sources {
		if proxy == nil && (s.kind == kindLua || slices.Contains(Proxies, string(s.kind))) {
			proxy = &syntax.Place{File: s.name, Line: 1}
		}
	}
	if o := r.kubernetes.leader(); proxy == nil && o != nil {
		at := o.place()
		proxy = &at
	}
	known := map[string]bool{config.DefaultPolicy: true}
	for _, g := range r.gates {
		if g.config != nil {
			for name := range g.config.Policies {
				known[name] = true
			}
		}
	}
	for _, g := range r.gates {
		g.asks, g.known, g.proxies = r.asks, known, proxy != nil
		apply(r, gateRules, g)
	}
	if proxy != nil && len(r.asks) == 0 && !r.blind() {
		r.find("asks-nobody", *proxy, "none of the files asks the gate: nothing that is reached through them is protected by it", "a check, as in the examples, or the files that have it")
	}
}

// blind says whether something was not read: then it may be that which asks.
func (r *reader) blind() bool {
	return slices.ContainsFunc(r.findings, func(f Finding) bool {
		return slices.ContainsFunc(readingRules, func(rule Rule) bool { return rule.Code == f.Code })
	})
}

func (r *reader) judgeTraefik(n Names) {
	for _, s := range r.of(kindTraefik) {
		for _, static := range s.nodes {
			r.provided(static.Get("providers", "file"))
		}
	}
	var files []*syntax.Node
	for _, s := range r.of(kindTraefik) {
		files = append(files, s.nodes...)
	}
	manifests := r.kubernetes.traefikTree()
	if manifests != nil {
		files = append(files, manifests)
	}
	if len(files) == 0 {
		return
	}
	site := newTraefik(files, n)
	if site.manifests = manifests != nil; site.manifests {
		site.providers = slices.DeleteFunc(site.providers, func(p syntax.Entry) bool { return strings.HasPrefix(syntax.Fold(p.Key), "kubernetes") })
	}
	for _, w := range site.forwards() {
		address := w.forward().Get("address")
		r.asks = append(r.asks, ask{address.At(), policyOf(address.String())})
	}
	apply(r, traefikRules, site)
}

// provided reads the dynamic files that a static configuration names.
func (r *reader) provided(provider *syntax.Node) {
	if name := provider.Get("filename"); name.String() != "" {
		r.included(name.String(), name.At(), kindTraefik)
	}
	if folder := provider.Get("directory"); folder.String() != "" {
		for _, ending := range []string{"*.yaml", "*.yml", "*.toml"} {
			r.included(filepath.Join(folder.String(), ending), folder.At(), kindTraefik)
		}
	}
}

func (r *reader) judgeEnvoy(n Names) {
	var files []*syntax.Node
	for _, s := range r.of(kindEnvoy) {
		files = append(files, s.nodes...)
	}
	notRead := func(at syntax.Place) {
		r.find("envoy-check-not-read", at, "the check is within another filter, or comes from elsewhere, and is not judged", "envoy.filters.http.ext_authz among http_filters, with its typed_config")
	}
	for _, site := range envoySites(files, n, notRead) {
		for _, route := range site.routes {
			if !route.disabled {
				r.asks = append(r.asks, ask{at(route.policy, route.Node), site.policyName(route)})
			}
		}
		if len(site.routes) == 0 {
			r.asks = append(r.asks, ask{site.filter.At(), ""})
		}
		apply(r, envoyRules, site)
	}
}

func (r *reader) judgeOthers() {
	for _, s := range r.of(kindCompose) {
		if text := strings.ToLower(string(s.text)); strings.Contains(text, "traefik.http.") || strings.Contains(text, "--entrypoints.") {
			r.find("compose-not-read", syntax.Place{File: s.name, Line: 1}, "it configures Traefik by labels or arguments, which are not judged", "the same in files: a static and a dynamic configuration")
		}
		r.skip(s.name, "a compose file")
	}
}

// report sorts what was found by place.
func (r *reader) report() Report {
	out := Report{Findings: r.findings, Skipped: r.skipped, Asks: len(r.asks), Rules: r.rules}
	for _, s := range r.sources {
		if s.kind != kindCompose && !s.unused {
			out.Read = append(out.Read, s.name)
		}
	}
	slices.SortStableFunc(out.Findings, func(a, b Finding) int {
		fileA, lineA := cut(a.Where)
		fileB, lineB := cut(b.Where)
		if c := strings.Compare(fileA, fileB); c != 0 {
			return c
		}
		return lineA - lineB
	})
	return out
}

func cut(where string) (file string, line int) {
	i := strings.LastIndexByte(where, ':')
	_, _ = fmt.Sscan(where[i+1:], &line)
	return where[:i], line
}
