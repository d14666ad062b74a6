package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"devicegate/doctor/syntax"
)

// caddySite is one site of a Caddyfile, imports resolved, as the ways that requests take through it.
type caddySite struct {
	names Names
	site  *syntax.Directive
	ends  []*caddyEnd
	byOwn []*syntax.Directive // checks that are not written with forward_auth
	nets  []*syntax.Directive // trusted_proxies, of the site and of the whole file

	tooMuch func(at syntax.Place) // tells of an end that is left out
	steps   int                   // on the ways to all ends together

	errors []*syntax.Directive // that pass requests on in handle_errors
	orders []*syntax.Directive // order, of the whole file
	behind map[string]bool     // addresses of backends behind a check, of all sites
}

// caddyEnd is a directive that passes requests on, and what comes before it on the way.
type caddyEnd struct {
	*syntax.Directive
	trail    []caddyStep
	matchers []caddyMatcher // all of which a request has met
	done     []headerOp     // what ops found, once it was asked
}

// caddyStep is a directive on the way, with its matcher taken off.
type caddyStep struct {
	*syntax.Directive
	matcher *caddyMatcher // nil: every request
	args    []string
}

// caddyMatcher is what a request has to meet: a path, or conditions by name.
type caddyMatcher struct {
	syntax.Place
	path       string
	conditions []*syntax.Directive // vars_regexp, path, not ...
}

// caddySites returns the sites of a Caddyfile. It reads imported files with read, and tells tooMuch of an import
// that is left out.
func caddySites(top []*syntax.Directive, n Names, read func(pattern string, at syntax.Place) []*syntax.Directive, tooMuch func(at syntax.Place)) []*caddySite {
	x := &caddyImports{snippets: map[string]*syntax.Directive{}, read: read, tooMuch: tooMuch}
	top = x.expand(top, nil, 0)
	var all []*caddySite
	var nets, orders []*syntax.Directive
	for _, d := range top {
		switch {
		case d.Name == "" && len(d.Args) == 0:
			nets, orders = append(nets, everywhere(d, "trusted_proxies")...), append(orders, d.Named("order")...)
		case strings.HasPrefix(d.Name, "(") || strings.HasPrefix(d.Name, "&("):
		case d.Open:
			all = append(all, &caddySite{names: n, site: d, tooMuch: tooMuch})
		}
	}
	for _, s := range all {
		s.orders = orders
		s.nets = append(slices.Clone(nets), everywhere(s.site, "trusted_proxies")...)
		s.walk(s.site.Block, false, nil, nil, map[string]*caddyMatcher{})
	}
	return all
}

// everywhere returns the directives of that name at any depth.
func everywhere(d *syntax.Directive, name string) (all []*syntax.Directive) {
	for _, inner := range d.Block {
		if inner.Name == name {
			all = append(all, inner)
		}
		all = append(all, everywhere(inner, name)...)
	}
	return all
}

// caddyImports puts snippets, named routes and files where they are imported.
type caddyImports struct {
	snippets map[string]*syntax.Directive
	read     func(pattern string, at syntax.Place) []*syntax.Directive
	tooMuch  func(at syntax.Place)
	grown    int // directives
	files    int // imports of files, in all
	within   int // those that one is in
}

// maxImported bounds what imports of imports may grow to, maxImports how deep includes of nginx go, and maxNested how deep
// blocks and imports of Caddy go together.
const (
	maxImported = 100_000
	maxImports  = 16
	maxNested   = 100
	maxSteps    = 200_000 // on the ways of a site of Caddy, all together
	maxRules    = 5000    // of a frontend of HAProxy
)

// expand returns the directives with imports resolved and arguments filled in. An import of a name that is no
// snippet is one of files.
func (x *caddyImports) expand(block []*syntax.Directive, args []string, depth int) (all []*syntax.Directive) {
	for _, d := range block {
		if x.grown++; x.grown > maxImported || depth > maxNested {
			x.tooMuch(d.Place)
			return all
		}
		switch {
		case depth == 0 && strings.HasPrefix(d.Name, "("):
			x.snippets[strings.Trim(d.Name, "()")] = d
		case depth == 0 && strings.HasPrefix(d.Name, "&("):
			x.snippets["&"+strings.Trim(d.Name, "&()")] = d
		}
		filled := filledIn(d, args)
		name := filled.Arg(0)
		if d.Name == "invoke" {
			name = "&" + name
		}
		snippet := x.snippets[name]
		switch {
		case d.Name != "import" && d.Name != "invoke" || strings.HasPrefix(d.Name, "("):
			if !strings.HasPrefix(d.Name, "(") && !strings.HasPrefix(d.Name, "&(") {
				filled.Block = x.expand(d.Block, args, depth+1)
			}
			all = append(all, filled)
		case snippet != nil:
			all = append(all, x.expand(snippet.Block, filled.Args[1:], depth+1)...)
		case d.Name == "import" && name != "":
			all = append(all, x.imported(filled, depth)...)
		}
	}
	return all
}

// imported returns what an import of files brings. Those of the top level may bring snippets and sites.
func (x *caddyImports) imported(d *syntax.Directive, depth int) []*syntax.Directive {
	if x.files++; x.files > maxImported/100 {
		x.tooMuch(d.Place)
		return nil
	}
	x.within++
	defer func() { x.within-- }()
	if x.within > maxImports {
		x.tooMuch(d.Place)
		return nil
	}
	return x.expand(x.read(d.Arg(0), d.Place), d.Args[1:], depth)
}

// filledIn returns the directive, without its block, with {args[0]} and its like replaced.
func filledIn(d *syntax.Directive, args []string) *syntax.Directive {
	filled := &syntax.Directive{Place: d.Place, Name: d.Name, Open: d.Open}
	for _, a := range d.Args {
		for i, arg := range args {
			a = strings.NewReplacer(fmt.Sprintf("{args[%d]}", i), arg, fmt.Sprintf("{args.%d}", i), arg).Replace(a)
		}
		if len(a) > 1<<16 {
			a = a[:1<<16]
		}
		filled.Args = append(filled.Args, a)
	}
	return filled
}

// caddyOrder is the order in which Caddy sorts directives outside of route, as far as it matters here.
// What is not in it comes first, as header, rewrite and their like do.
var caddyOrder = map[string]int{
	"forward_auth": 1, "request_header": 2, "handle": 3, "handle_path": 3, "route": 3, "abort": 4, "error": 5, "respond": 6,
	"reverse_proxy": 7, "php_fastcgi": 8, "file_server": 9,
}

// walk follows a block. Within route the order is that of the file, elsewhere Caddy sorts.
func (s *caddySite) walk(block []*syntax.Directive, ordered bool, trail []caddyStep, met []caddyMatcher, named map[string]*caddyMatcher) {
	named = maps.Clone(named)
	var steps []*syntax.Directive
	for _, d := range block {
		if strings.HasPrefix(d.Name, "@") {
			named[d.Name] = newMatcher(d)
		} else {
			steps = append(steps, d)
		}
	}
	if !ordered {
		slices.SortStableFunc(steps, func(a, b *syntax.Directive) int { return caddyOrder[a.Name] - caddyOrder[b.Name] })
	}
	trail = slices.Clone(trail)
	for _, d := range steps {
		step := newStep(d, named)
		within := slices.Clone(met)
		if step.matcher != nil {
			within = append(within, *step.matcher)
		}
		switch {
		case d.Name == "route" || d.Name == "handle":
			s.walk(d.Block, d.Name == "route", trail, within, named)
		case d.Name == "handle_path":
			s.walk(d.Block, false, append(slices.Clone(trail), step), within, named)
		case d.Name == "handle_errors":
			s.errors = append(s.errors, append(everywhere(d, "reverse_proxy"), everywhere(d, "php_fastcgi")...)...)
		case d.Name == "reverse_proxy" && asksByOwn(d):
			s.byOwn = append(s.byOwn, d)
		case d.Name == "reverse_proxy" || d.Name == "php_fastcgi":
			if s.steps += len(trail); s.steps > maxSteps {
				s.tooMuch(d.Place)
				return
			}
			s.ends = append(s.ends, &caddyEnd{Directive: d, trail: slices.Clone(trail), matchers: within})
		default:
			trail = append(trail, step)
		}
	}
}

// asksByOwn says whether a reverse_proxy is a check that somebody wrote out.
func asksByOwn(d *syntax.Directive) bool {
	for _, r := range d.Named("rewrite") {
		if slices.ContainsFunc(r.Args, endpoint.MatchString) {
			return true
		}
	}
	return false
}

func newMatcher(d *syntax.Directive) *caddyMatcher {
	m := &caddyMatcher{Place: d.Place, conditions: d.Block}
	if !d.Open && len(d.Args) > 0 {
		m.conditions = []*syntax.Directive{{Place: d.Place, Name: d.Args[0], Args: d.Args[1:]}}
	}
	return m
}

func newStep(d *syntax.Directive, named map[string]*caddyMatcher) caddyStep {
	step := caddyStep{Directive: d, args: d.Args}
	switch first := d.Arg(0); {
	case strings.HasPrefix(first, "@"):
		step.matcher, step.args = named[first], d.Args[1:]
		if step.matcher == nil {
			step.matcher = &caddyMatcher{Place: d.Place}
		}
	case strings.HasPrefix(first, "/"), first == "*":
		step.matcher, step.args = &caddyMatcher{Place: d.Place, path: first}, d.Args[1:]
	}
	return step
}

// always says whether the step is taken by every request.
func (s caddyStep) always() bool { return s.matcher == nil || s.matcher.path == "*" }

// check returns the last check on the way that every request passes, nil where there is none. A forward_auth
// that asks somebody else is none.
func (e *caddyEnd) check() *caddyStep {
	for i, s := range slices.Backward(e.trail) {
		if s.Name == "forward_auth" && s.always() && endpoint.MatchString(s.First("uri").Arg(0)) {
			return &e.trail[i]
		}
	}
	return nil
}

// class is what stands before an end: what is asked, or nothing.
func (e *caddyEnd) class() string {
	if c := e.check(); c != nil {
		return c.First("uri").Arg(0)
	}
	return ""
}

// ops returns the operations on request headers before the end.
func (e *caddyEnd) ops() []headerOp {
	if e.done == nil {
		e.done = e.operations()
	}
	return e.done
}

func (e *caddyEnd) operations() (all []headerOp) {
	checked := false
	for _, s := range e.trail {
		checked = checked || s.Name == "forward_auth" && s.always()
		if s.Name != "request_header" || len(s.args) == 0 {
			continue
		}
		op := headerOp{Place: s.Place, always: s.always(), after: checked, field: strings.TrimLeft(s.args[0], "+-?>")}
		op.deletes = strings.HasPrefix(s.args[0], "-")
		if op.sets = len(s.args) == 2 && !strings.HasPrefix(s.args[0], "+") && !op.deletes; op.sets {
			op.value = s.args[1]
		}
		all = append(all, op)
	}
	return all
}

// headerOp is what a proxy does to a request header.
type headerOp struct {
	syntax.Place
	field         string // may have stars at its ends where it deletes
	value         string
	deletes, sets bool
	always        bool
	after         bool // the check
}

// on says whether the operation is about a header.
func (o headerOp) on(name string) bool {
	name, field := strings.ToLower(name), strings.ToLower(o.field)
	switch front, back := strings.HasPrefix(field, "*"), strings.HasSuffix(field, "*"); {
	case !o.deletes || !front && !back:
		return name == field
	case field == "*":
		return true
	case front && back:
		return strings.Contains(name, field[1:len(field)-1]) // the star in the middle of *** is a character
	case front:
		return strings.HasSuffix(name, field[1:])
	default:
		return strings.HasPrefix(name, field[:len(field)-1])
	}
}

// gone says whether nothing of the client's is left of a header at the end.
func (e *caddyEnd) gone(name string) bool {
	return slices.ContainsFunc(e.ops(), func(o headerOp) bool {
		return o.always && o.on(name) && (o.deletes || o.sets && !strings.Contains(o.value, "{"))
	})
}

// guarded and open are the ends behind a check, and the others. An end behind a check of some requests is both.
func (s *caddySite) guarded() []*caddyEnd {
	return slices.DeleteFunc(slices.Clone(s.ends), func(e *caddyEnd) bool { return e.check() == nil && e.conditional() == nil })
}

func (s *caddySite) open() []*caddyEnd {
	return slices.DeleteFunc(slices.Clone(s.ends), func(e *caddyEnd) bool { return e.check() != nil })
}

// checks are the forward_auth of the site that ask the gate, each once, as they are where they are imported.
func (s *caddySite) checks() (all []*syntax.Directive) {
	for _, d := range everywhere(s.site, "forward_auth") {
		if endpoint.MatchString(d.First("uri").Arg(0)) {
			all = append(all, d)
		}
	}
	return all
}

// mixed says whether ways of different demands stand side by side.
func (s *caddySite) mixed() bool {
	classes := map[string]bool{}
	for _, e := range s.ends {
		classes[e.class()] = true
		if c := e.conditional(); c != nil {
			classes[c.First("uri").Arg(0)] = true
		}
	}
	return len(classes) > 1
}

// copied returns the names that a check copies to the request.
func copied(check *syntax.Directive) (all []string) {
	add := func(text string) {
		_, to, renamed := strings.Cut(text, ">")
		if !renamed {
			to = text
		}
		all = append(all, to)
	}
	for _, d := range check.Named("copy_headers") {
		for _, a := range d.Args {
			add(a)
		}
		for _, line := range d.Block {
			add(line.Name)
		}
	}
	return all
}
