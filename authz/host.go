package authz

import (
	"net/netip"
	"strings"
)

const (
	maxHost  = 253 // bytes of a name (RFC 1035 section 2.3.4, without the dot at its end)
	maxLabel = 63
	maxPort  = 5 // digits
)

// audience returns the one spelling of the host that a request is for: in lower case, without its port, without one
// dot at the end, an IPv6 address without its brackets. It returns "" for what is no host name or address. The
// host is the client's word, so nothing is decided by it: it is only written into an assertion, for a backend to
// compare with its own names.
func audience(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		return audienceOfIPv6(rest)
	}
	name, port, hasPort := strings.Cut(host, ":")
	if hasPort && !isPort(port) {
		return ""
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > maxHost {
		return ""
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if !isLabel(label) {
			return ""
		}
		last = label
	}
	if isNumber(last) && !isIPv4(name) { // 127.1 and 0x7f.1 are addresses to some readers and names to others
		return ""
	}
	return strings.ToLower(name)
}

// audienceOfIPv6 reads what stands behind the opening bracket.
func audienceOfIPv6(rest string) string {
	text, behind, closed := strings.Cut(rest, "]")
	port, hasPort := strings.CutPrefix(behind, ":")
	if !closed || behind != "" && !hasPort || !isPort(port) {
		return ""
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || !addr.Is6() || addr.Zone() != "" {
		return ""
	}
	return addr.String()
}

// isPort says whether text may stand behind the colon of a host: nothing may, too (RFC 3986 section 3.2.3).
func isPort(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return len(text) <= maxPort
}

// isLabel says whether text may stand between two dots of a name. The underscore is in no name of the internet, and in
// many of containers.
func isLabel(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_':
		case c == '-' && i > 0 && i < len(text)-1:
		default:
			return false
		}
	}
	return len(text) > 0 && len(text) <= maxLabel
}

// isNumber says whether a label makes a reader of URLs take the whole name for an address (WHATWG URL, "ends in a number").
func isNumber(label string) bool {
	if rest, hex := strings.CutPrefix(strings.ToLower(label), "0x"); hex {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func isIPv4(name string) bool {
	addr, err := netip.ParseAddr(name)
	return err == nil && addr.Is4()
}
