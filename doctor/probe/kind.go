package probe

import (
	"bufio"
	"context"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"devicegate/doctor"
)

// servers say what a proxy calls itself in the header Server of its own answers. Traefik and HAProxy have none.
var servers = []struct{ prefix, kind string }{
	{"nginx", "nginx"}, {"openresty", "nginx"}, {"envoy", "envoy"}, {"istio-envoy", "envoy"}, {"caddy", "caddy"},
}

// kindOf says what the proxy is: by the endpoint on which the gate was asked meanwhile, if it was one alone, else
// by the header Server of a refusal.
func kindOf(server string, counted counts) string {
	adapters := map[string]bool{}
	for c := range counted {
		adapters[strings.TrimSuffix(strings.TrimSuffix(c.adapter, "_http"), "_grpc")] = true
	}
	if names := slices.Collect(maps.Keys(adapters)); len(names) == 1 && slices.Contains(doctor.Proxies, names[0]) {
		return names[0]
	}
	for _, s := range servers {
		if strings.HasPrefix(strings.ToLower(server), s.prefix) {
			return s.kind
		}
	}
	return ""
}

// counter names one counter of checks.
type counter struct{ adapter, outcome, reason string }

// counts are the checks that the gate has counted. nil where nobody says.
type counts map[counter]float64

var counterLine = regexp.MustCompile(`^devicegate_checks_total\{adapter="([a-z_]+)",outcome="([a-z_]+)",reason="([a-z_]+)"\} (\S+)`)

// checks reads the gate's counters of checks.
func (g Gate) checks(ctx context.Context) counts {
	if g.Operations == nil {
		return nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://operations/metrics", http.NoBody)
	if err != nil {
		return nil
	}
	resp, err := g.Operations.Do(req)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	all := counts{}
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxAnswer))
	for lines.Scan() {
		if m := counterLine.FindStringSubmatch(lines.Text()); m != nil {
			n, _ := strconv.ParseFloat(m[4], 64) // what is no number has not moved
			all[counter{m[1], m[2], m[3]}] = n
		}
	}
	return all
}

// since returns by how much the counters moved; none where one of the two is not known.
func (c counts) since(before counts) counts {
	moved := counts{}
	for name, value := range c {
		if before != nil && before[name] != value {
			moved[name] = value - before[name]
		}
	}
	return moved
}

// refusal returns the reason of a refusal that is all that was counted, or "": with other traffic beside it nobody
// knows whose it was.
func (c counts) refusal() string {
	for name, n := range c {
		if len(c) == 1 && n == 1 && name.outcome != "allow" {
			return name.reason
		}
	}
	return ""
}
