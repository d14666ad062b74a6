package doctor

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// part is one file of the output of nginx -T.
type part struct {
	name string
	text []byte
}

var dumpHeading = regexp.MustCompile(`(?m)^# configuration file (\S+):\n`)

// dumped splits the output of nginx -T into its files, nil where the text is none.
func dumped(text []byte) (all []part) {
	found := dumpHeading.FindAllSubmatchIndex(text, -1)
	for i, f := range found {
		end := len(text)
		if i+1 < len(found) {
			end = found[i+1][0]
		}
		all = append(all, part{string(text[f[2]:f[3]]), text[f[1]:end]})
	}
	return all
}

// judgeNginx judges each configuration of nginx: from the file that has everything, or from a file of servers.
func (r *reader) judgeNginx(n Names) {
	files := r.of(kindNginx)
	x := &nginxIncludes{reader: r}
	var roots []*source
	for _, s := range files {
		if has(s.top, "http") {
			roots = append(roots, s)
			x.resolve(s)
		}
	}
	for _, s := range files {
		if has(s.top, "server") && !s.included && !has(s.top, "http") {
			if s.folder && len(roots) > 0 {
				r.leave(s, "not included by "+roots[0].name)
				continue
			}
			roots = append(roots, s)
			x.resolve(s)
		}
	}
	for _, s := range files {
		switch {
		case s.included || s.unused || slices.Contains(roots, s):
		case s.folder:
			r.leave(s, "a part that no file includes")
		default:
			r.find("nginx-no-server", syntax.Place{File: s.name, Line: 1}, "no file includes this part, and without its server it is not judged", "the file that includes it as well, or the output of nginx -T")
		}
	}
	for _, s := range roots {
		for _, site := range nginxSites(s.top, n) {
			for _, check := range site.checks() {
				r.asks = append(r.asks, ask{check.handler().Place, policyOf(check.handler().Arg(0))})
			}
			apply(r, nginxRules, site)
		}
	}
}

// leave skips a file of a folder that is not in use.
func (r *reader) leave(s *source, reason string) {
	s.unused = true
	r.skip(s.name, reason)
}

func has(top []*syntax.Directive, name string) bool {
	return slices.ContainsFunc(top, func(d *syntax.Directive) bool { return d.Name == name && d.Open })
}

// nginxIncludes puts files where they are included.
type nginxIncludes struct {
	reader *reader
	base   string // the folder of the main file, which relative names start from
	depth  int
	grown  int
}

func (x *nginxIncludes) resolve(s *source) {
	x.base = filepath.Dir(s.name)
	s.top = x.block(s.top)
}

// block returns the directives with those of included files in their place.
func (x *nginxIncludes) block(block []*syntax.Directive) (all []*syntax.Directive) {
	for _, d := range block {
		if x.grown++; x.grown > maxImported {
			x.reader.tooMuch(d.Place)
			return all
		}
		if d.Name != "include" {
			whole := *d
			whole.Block = x.block(d.Block)
			all = append(all, &whole)
			continue
		}
		if x.depth >= maxImports {
			x.reader.tooMuch(d.Place)
			continue
		}
		for _, s := range x.reader.included(d.Arg(0), d.Place, kindNginx, x.base) {
			x.depth++
			all = append(all, x.block(s.top)...)
			x.depth--
		}
	}
	return all
}

// tooMuch tells of an include that is left out. It is told once: a circle comes by again and again.
func (r *reader) tooMuch(at syntax.Place) {
	if r.toldTooMuch {
		return
	}
	r.toldTooMuch = true
	r.find("include-missing", at, "too many lines, or files that include each other without an end: what they say is not judged", "no circle of includes")
}

// parameters are files of nginx's own that set no request header and are often not there to read.
var parameters = []string{"mime.types", "fastcgi_params", "fastcgi.conf", "uwsgi_params", "scgi_params"}

// included returns the files that an include names: those that were handed in or dumped, else those on the
// disk. A relative name starts from one of the bases, or from the folder of the file that includes.
func (r *reader) included(pattern string, at syntax.Place, k kind, bases ...string) (all []*source) {
	bases = append(bases, filepath.Dir(at.File), filepath.Dir(filepath.Dir(at.File)))
	for _, base := range bases {
		name := pattern
		if !filepath.IsAbs(name) {
			name = filepath.Join(base, pattern)
		}
		if all = r.matching(name, k); len(all) > 0 {
			return all
		}
	}
	for _, s := range r.sources { // a copy of /etc/nginx elsewhere
		if filepath.IsAbs(pattern) && alike(pattern, s.name) && s.kind == k {
			s.included = true
			all = append(all, s)
		}
	}
	wild := strings.ContainsAny(pattern, "*?[")
	if len(all) > 0 && !wild {
		return all[:1]
	}
	if wild || slices.Contains(parameters, filepath.Base(pattern)) {
		return all // none is as good as some
	}
	r.find("include-missing", at, fmt.Sprintf("%.100s is not there, and what it says is not judged", pattern), "the file as one of those that are read, or the output of nginx -T")
	return nil
}

// alike says whether a file may be the copy of one that is included by an absolute name, by its last name, or, where
// that is a pattern, by its folder's name as well.
func alike(pattern, name string) bool {
	if !strings.ContainsAny(pattern, "*?[") {
		return filepath.Base(name) == filepath.Base(pattern)
	}
	last := func(path string) string { return filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path)) }
	ok, err := filepath.Match(last(pattern), last(name))
	return err == nil && ok
}

// matching returns the files that a name or pattern means, and reads those that were not read yet.
func (r *reader) matching(pattern string, k kind) (all []*source) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		names = nil
	}
	for name := range r.parsed {
		if ok, err := filepath.Match(pattern, name); err == nil && ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if len(r.sources) >= maxFiles {
			r.tooMuch(syntax.Place{File: name, Line: 1})
			break
		}
		s := r.parsed[name]
		if s == nil || s.kind != k {
			if s = r.load(name, k); s == nil {
				continue
			}
		}
		s.included = true
		all = append(all, s)
	}
	return all
}

// load reads an included file as what includes it, whatever it looks like.
func (r *reader) load(name string, k kind) *source {
	text, err := readFile(name)
	if err != nil {
		r.unreadable(name, err)
		return nil
	}
	s := &source{name: name, text: text, kind: k}
	r.findings = slices.DeleteFunc(r.findings, func(f Finding) bool {
		file, _ := cut(f.Where)
		gone := file == name && (f.Code == "unknown-kind" || f.Code == "cannot-parse")
		if gone {
			delete(r.told, f)
		}
		return gone
	})
	r.sources = slices.DeleteFunc(r.sources, func(other *source) bool { return other.name == name })
	r.keep(s)
	if !slices.Contains(r.sources, s) {
		return nil // it does not parse, which is told
	}
	return s
}

func (r *reader) judgeCaddy(n Names) {
	read := func(pattern string, at syntax.Place) (all []*syntax.Directive) {
		for _, s := range r.included(pattern, at, kindCaddy) {
			all = append(all, s.top...)
		}
		return all
	}
	files := r.of(kindCaddy)
	var sites []*caddySite
	for _, s := range files {
		if !s.included {
			sites = append(sites, caddySites(s.top, n, read, r.tooMuch)...)
		}
	}
	believed := caddyBelieved(sites)
	for _, site := range sites {
		site.behind = believed
		for _, c := range site.checks() {
			r.asks = append(r.asks, ask{c.First("uri").Place, policyOf(c.First("uri").Arg(0))})
		}
		apply(r, caddyRules, site)
	}
}

func (r *reader) judgeHAProxy(n Names) {
	for _, s := range r.of(kindHAProxy) {
		for _, section := range s.top {
			for _, d := range append(section.Named("lua-load"), section.Named("lua-load-per-thread")...) {
				r.included(d.Arg(0), d.Place, kindLua)
			}
		}
	}
	var scripts []script
	for _, s := range r.of(kindLua) {
		scripts = append(scripts, script{syntax.Place{File: s.name, Line: 1}, syntax.Lua(s.text)})
	}
	var sections []*syntax.Directive
	for _, s := range r.of(kindHAProxy) {
		sections = append(sections, s.top...)
	}
	for _, site := range haproxySites(sections, scripts, n, r.tooMuch) {
		for _, q := range site.asked {
			r.asks = append(r.asks, ask{q.Place, policyOf(q.asks())})
		}
		apply(r, haproxyRules, site)
	}
}
