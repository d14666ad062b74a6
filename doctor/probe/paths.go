package probe

import (
	"fmt"
	"strings"
)

// pathProbes say a path so that proxy and backend may read it differently, without a token.
func (r *run) pathProbes() []probe {
	probes := r.spellings("no token, another spelling of the path", "path-unchecked", r.nobody())
	probes = append(probes,
		probe{sent: "no token, an absolute request line", request: request{target: r.URL.Scheme + "://" + r.Host + r.path + "/{mark}", host: "doctor.example"}, holds: r.nobody(), code: "path-unchecked", h1: true},
		probe{sent: "no token, another Host", request: request{host: "doctor.example"}, holds: r.nobody(), code: "host-unchecked"})
	if r.open != "" {
		probes = append(probes, r.escapes()...)
	}
	return probes
}

// spellings are the protected path in other words: whoever strips parameters, decodes, merges slashes or cleans
// reads it as the same.
func (r *run) spellings(sent, code string, holds rule) []probe {
	targets := []string{
		"/" + r.path + "/{mark}",
		"/." + r.path + "/{mark}",
		"/x/.." + r.path + "/{mark}",
		"/%2e" + r.path + "/{mark}",
		"/x/%2e%2e" + r.path + "/{mark}",
		"/x/..%2f" + strings.TrimPrefix(r.path, "/") + "/{mark}",
		"/x/..;" + r.path + "/{mark}",
		"/;" + r.path + "/{mark}",
		r.path + "/./{mark}",
		r.path + "//{mark}",
		r.path + "/{mark}%00",
		r.path + "/{mark}%zz",
		r.path + "/..#/{mark}",
	}
	if len(r.path) > 2 {
		letter := fmt.Sprintf("%s%%%02x%s", r.path[:2], r.path[2], r.path[3:])
		targets = append(targets, r.path+";x/{mark}", letter+"/{mark}", letter+"/{mark}%zz", `\`+r.path[1:]+"/{mark}")
	}
	var probes []probe
	for _, t := range targets {
		probes = append(probes, probe{sent: sent, request: request{target: t}, holds: holds, code: code})
	}
	return probes
}

// escapes lead from the open route to the protected one, or from there to the open one, in words that not
// everybody reads as such.
func (r *run) escapes() []probe {
	depth := strings.Count(r.open, "/") - 1
	up := func(step string) string {
		return r.open + strings.Repeat(step, depth) + strings.TrimPrefix(r.path, "/") + "/{mark}"
	}
	var probes []probe
	add := func(code string, targets ...string) {
		for _, t := range targets {
			probes = append(probes, probe{sent: "no token, a path that leads out of the open route", request: request{target: t}, holds: r.nobody(), code: code})
		}
	}
	for _, step := range []string{"../", "%2e%2e/", ".%2E/", "..;/", "%2e%2e;/", ".;/../", "..%2f", "..%3b/", "..%5c", `..\`, "%252e%252e/", "..%252f", "%00/../", "..//", "%2e%2e%2f"} {
		add("path-escapes-open", up(step))
	}
	add("path-escapes-open", r.open+"#/../"+strings.Repeat("../", depth)+strings.TrimPrefix(r.path, "/")+"/{mark}")
	inside := strings.TrimPrefix(r.open, "/") + "{mark}"
	climb := strings.Repeat("../", strings.Count(r.path, "/"))
	for _, way := range []string{climb, strings.ReplaceAll(climb, "/", "%2f"), strings.ReplaceAll(climb, "..", "%2e%2e"), strings.ReplaceAll(climb, "..", "..;")} {
		add("path-escapes-open", r.path+"/"+way+inside)
	}
	without := strings.TrimSuffix(r.open, "/")
	add("open-route-too-wide", without+"x/{mark}", without+";x/{mark}")
	if other := strings.ToUpper(r.open); other != r.open {
		add("open-route-too-wide", other+"{mark}")
	}
	return probes
}
