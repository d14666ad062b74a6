package snippet

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// What a value may consist of. These stand for themselves in nginx's language, in YAML, in a Caddyfile, in HAProxy's
// and in Lua strings, in URLs, and, but for the dot, in regular expressions. The configuration is as strict, or, for
// the paths of sockets, less so: a semicolon in one would end nginx's line, and begin the next.
var (
	plainHeader = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$`).MatchString
	plainPolicy = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`).MatchString
	plainPath   = regexp.MustCompile(`^(?:/[A-Za-z0-9._~-]+)+$`).MatchString
	plainHost   = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$`).MatchString
)

// literalDots makes a dot mean a dot in a regular expression, without a backslash, which some of the languages would
// take away.
func literalDots(text string) string { return strings.ReplaceAll(text, ".", "[.]") }

// pad fills text up to a column.
func pad(text string, width int) string { return fmt.Sprintf("%-*s", width, text) }

// notText are words that YAML takes for something else than text, in any letter case.
var notText = []string{"null", "true", "false", "yes", "no", "on", "off", "y", "n"}

var startsAsText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]*$`).MatchString

// yamlWord writes a plain value in YAML: as it is where that is text to every reader, else in quotes.
func yamlWord(text string) string {
	ip, err := netip.ParseAddr(text)
	if err == nil && ip.Is4() || startsAsText(text) && !slices.Contains(notText, strings.ToLower(text)) {
		return text
	}
	return `"` + text + `"`
}

// width is that of a comment.
const width = 110

// head is the comment at the beginning of a configuration: what wrote it, and what must be true for it to work.
func head(v *view, mark string) string {
	var lines []string
	for _, text := range v.remarks() {
		line := mark
		for _, word := range strings.Fields(text) {
			if len(line)+1+len(word) > width {
				lines, line = append(lines, line), mark
			}
			line += " " + word
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (v *view) remarks() []string {
	routes := fmt.Sprintf("Written by \"devicegate snippet %s\". Ports, paths and the application at %s are samples, to be made yours: %s is for everybody,",
		v.Proxy, v.App.Address(), v.Open)
	for _, p := range v.ShorterFirst() {
		routes += fmt.Sprintf(" %s for the policy %s,", p.Path, p.Name)
	}
	all := []string{routes + " everything else for the policy " + v.Main.Name + "."}
	if v.Checks.Unix != "" {
		all = append(all, "The gate listens on a unix socket: the proxy's user needs the right to write to it.")
	} else {
		all = append(all, fmt.Sprintf("What must be true: the proxy asks from an address of checks.allowed_peers (%s), or all is refused as"+
			" peer_not_allowed; and the same address is one of trusted_proxies (%s), or the gate's API takes the proxy for the client.", v.Peers, v.Trusted))
	}
	if v.Checks.Everywhere || v.API.Everywhere {
		all = append(all, "The gate listens on every address; 127.0.0.1 (or ::1) is the one for a proxy on the same machine.")
	}
	return append(all, v.certificates()...)
}

// certificates says which files have to be filled in.
func (v *view) certificates() (all []string) {
	if v.Checks.TLS || v.API.TLS {
		all = append(all, "Fill in devicegate_ca.pem, or write another path: the authority of the certificate in the gate's tls.cert_file.")
	}
	if v.Checks.ClientCert {
		all = append(all, "Fill in devicegate_client.pem and devicegate_client.key: a certificate of the authority in tls.client_ca_file, and its key.")
	}
	for _, e := range []endpoint{v.Checks, v.API} {
		if v.Proxy == "traefik" && e.TLS && e.Name != e.Host {
			all = append(all, fmt.Sprintf("The name %s has to lead to %s, as by a line of /etc/hosts: Traefik connects to the name in the certificate.", e.Name, e.Host))
			break
		}
	}
	return all
}
