package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	day = 24 * time.Hour

	kibibyte = int64(1) << 10
	mebibyte = int64(1) << 20
	gibibyte = int64(1) << 30

	// recommendedPassword is what NIST SP 800-63B-4 asks for where a password is the only factor.
	recommendedPassword = 15
)

// quote shows a value in a message: on one line and not longer than a line.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "..."
	}
	return strconv.Quote(s)
}

// numbers returns the rule for a whole number from low to high.
func numbers(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		// 010 is eight to some readers of YAML and ten to others.
		if err != nil || strconv.Itoa(n) != text {
			return 0, fmt.Errorf("%s is not a whole number; %d to %d is allowed", quote(text), low, high)
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%d is out of range; %d to %d is allowed", n, low, high)
		}
		return n, nil
	}
}

// sizes returns the rule for a size in bytes from low to high, both whole MiB.
func sizes(low, high int64) func(string) (int64, error) {
	return func(text string) (int64, error) {
		n, err := parseSize(text)
		if err != nil {
			return 0, err
		}
		if n < low || n > high {
			return 0, fmt.Errorf("%s is out of range; %dMiB to %dMiB is allowed", text, low/mebibyte, high/mebibyte)
		}
		return n, nil
	}
}

func parseSize(text string) (int64, error) {
	for unit, bytes := range map[string]int64{"KiB": kibibyte, "MiB": mebibyte, "GiB": gibibyte} {
		digits, ok := strings.CutSuffix(text, unit)
		if !ok {
			continue
		}
		// 32 bits of GiB still fit an int64.
		if n, err := strconv.ParseUint(digits, 10, 32); err == nil {
			return int64(n) * bytes, nil
		}
	}
	return 0, fmt.Errorf("%s is not a size; write a whole number with KiB, MiB or GiB, such as 19MiB", quote(text))
}

// durations returns the rule for a duration from low to high.
func durations(low, high time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := ParseDuration(text)
		if err != nil {
			return 0, err
		}
		if d < low || d > high {
			return 0, fmt.Errorf("%s is out of range; %s to %s is allowed", text, showDuration(low), showDuration(high))
		}
		return d, nil
	}
}

// wholeSeconds narrows a rule for durations: the claims of a token count in seconds.
func wholeSeconds(rule func(string) (time.Duration, error)) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := rule(text)
		if err == nil && d%time.Second != 0 {
			return 0, fmt.Errorf("%s is not a whole number of seconds, which is what tokens count in", text)
		}
		return d, err
	}
}

// orZero lets a rule for durations also take 0, which switches the bound off.
func orZero(rule func(string) (time.Duration, error)) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		if d, err := ParseDuration(text); err == nil && d == 0 {
			return 0, nil
		}
		d, err := rule(text)
		if err != nil {
			return 0, fmt.Errorf("%w, or 0s for none", err)
		}
		return d, nil
	}
}

// ParseDuration reads a duration as the configuration writes it: Go's form, with whole days in front ("90s",
// "30d", "1d12h"). Never negative. Its errors say what would be right.
func ParseDuration(text string) (time.Duration, error) {
	bad := fmt.Errorf("%s is not a duration; write a number with d, h, m or s, such as 90s, 15m or 1d12h", quote(text))
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err != nil || strings.ContainsAny(rest, "+-") {
		return 0, bad
	}
	if hasDays && rest == "" {
		return time.Duration(n) * day, nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d > 65536*day {
		return 0, bad
	}
	return time.Duration(n)*day + d, nil
}

// showDuration writes a duration as ParseDuration reads it, without idle zeros.
func showDuration(d time.Duration) string {
	days, rest := d/day, d%day
	text := rest.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	switch {
	case days == 0:
		return text
	case rest == 0:
		return fmt.Sprintf("%dd", days)
	default:
		return fmt.Sprintf("%dd%s", days, text)
	}
}

// yesOrNo is the rule for true and false.
func yesOrNo(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%s is not known; write true or false", quote(text))
}

// oneOf returns the rule for one word of several.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", fmt.Errorf("%s is not known; write one of %s", quote(text), strings.Join(words, ", "))
		}
		return text, nil
	}
}

// proxyNetwork is the rule for trusted_proxies.
func proxyNetwork(text string) (netip.Prefix, error) {
	p, err := parseNetwork(text)
	if err == nil && everybody(p) {
		return netip.Prefix{}, fmt.Errorf("%s would trust everybody, so that every client could choose its own address by a header; name the proxies' networks", text)
	}
	return p, err
}

// exemptNetwork is the rule for lockout.exempt_networks.
func exemptNetwork(text string) (netip.Prefix, error) {
	p, err := parseNetwork(text)
	if err == nil && everybody(p) {
		return netip.Prefix{}, fmt.Errorf("%s would switch the lockout off for everybody; name the networks that may fail as often as they like", text)
	}
	return p, err
}

// parseNetwork reads a CIDR or a single address. IPv4-mapped IPv6 becomes IPv4, because peers are
// compared in that form.
func parseNetwork(text string) (netip.Prefix, error) {
	bad := fmt.Errorf("%s is not a network; write a CIDR such as 10.0.0.0/8 or a single address", quote(text))
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, bad
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, bad
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%s has bits set behind the prefix; write %s, or %s for the single address",
			text, p.Masked(), p.Addr())
	}
	return p, nil
}

// everybody says whether a network holds every IPv4 or every IPv6 address. An IPv6 network that
// holds ::ffff:0:0/96 holds every IPv4 address in its mapped form.
func everybody(p netip.Prefix) bool {
	mapped := netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff})
	return p.Bits() == 0 || p.Addr().Is6() && p.Contains(mapped)
}
