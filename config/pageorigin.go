package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// pageOrigin is the rule for api.cors_allowed_origins: exactly what a browser writes into the header Origin (RFC 6454 section
// 6.2), because it is compared byte by byte. A pattern, or "null", which any page can make its own, would let strangers
// use the API with a user's cookies. Over plain http whoever is on the way could put a script into the page.
func pageOrigin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme+"://"+u.Host != text || strings.ContainsAny(text, "*?") {
		return "", fmt.Errorf("%s: write an origin as browsers do, such as https://app.example.com, without a path and a slash at its end; patterns are not known", quote(text))
	}
	if len(text) > 256 || text != strings.ToLower(text) || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s: write at most 256 characters of ASCII in small letters (xn--... for other letters), as browsers do", quote(text))
	}
	if port := u.Port(); port == "" && strings.HasSuffix(text, ":") || port == map[string]string{"https": "443", "http": "80"}[u.Scheme] && port != "" {
		return "", fmt.Errorf("%s: leave the port out where it is the usual one, as browsers do", quote(text))
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackName(u.Hostname())) {
		return "", fmt.Errorf("%s: write https; http is for localhost alone", quote(text))
	}
	return text, nil
}

// isLoopbackName says whether a browser asks for name on its own machine only.
func isLoopbackName(name string) bool {
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}
