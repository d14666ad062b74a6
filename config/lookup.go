package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

const (
	ipPlaceholder = "{ip}"
	maxURL        = 2048
)

// lookupURL is the rule for geo.http_url: "" or an absolute URL with {ip} once behind its host. Its
// errors do not repeat the value, which may hold a key.
func lookupURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if err := checkURLText(text); err != nil {
		return "", err
	}
	if err := checkPlaceholder(text); err != nil {
		return "", err
	}
	u, err := url.Parse(strings.Replace(text, ipPlaceholder, "ip", 1))
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return "", fmt.Errorf(`not an absolute URL; write "" or one such as https://ipapi.co/{ip}/json/`)
	}
	return text, checkURLHost(u)
}

// jwksURL is the rule for the jwks_url of an issuer: "" or an absolute URL, https unless it is of this
// machine. Its errors do not repeat the value, which may hold a key.
func jwksURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	if err := checkURLText(text); err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return "", fmt.Errorf("not an absolute URL; write one such as https://id.example/.well-known/jwks.json")
	}
	if err := checkURLHost(u); err != nil {
		return "", err
	}
	if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
		return "", fmt.Errorf("plain http to another machine: whoever is on the way could put in keys of his own, and the keys decide who passes; write https")
	}
	return text, nil
}

// checkURLText checks a URL that is asked, before it is taken apart.
func checkURLText(text string) error {
	if len(text) > maxURL || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("write at most %d printable ASCII characters without spaces", maxURL)
	}
	if strings.Contains(text, "#") {
		return fmt.Errorf("what stands behind # is never sent; leave it out")
	}
	return nil
}

// checkPlaceholder holds a URL to one place for the address, behind the host: in the host, every
// client would choose by its address who is asked.
func checkPlaceholder(text string) error {
	const advice = "; write it once, in the path or the query, such as https://ipapi.co/{ip}/json/"
	if n := strings.Count(text, ipPlaceholder); n != 1 {
		return fmt.Errorf("%s, where the address is put in, stands in it %d times%s", ipPlaceholder, n, advice)
	}
	before, after, _ := strings.Cut(text, ipPlaceholder)
	// A template of another tool, with a place that nothing is put into.
	if strings.ContainsAny(before+after, "{}") {
		return fmt.Errorf("a brace besides %s, which is the only thing that is replaced; write %%7B and %%7D for braces", ipPlaceholder)
	}
	_, rest, _ := strings.Cut(before, "://")
	if !strings.ContainsAny(rest, "/?") {
		return fmt.Errorf("%s stands in front of the path%s", ipPlaceholder, advice)
	}
	return nil
}

// checkURLHost checks what stands in front of the path of a URL that is asked.
func checkURLHost(u *url.URL) error {
	if u.User != nil {
		return fmt.Errorf("a user or password in front of the host is not sent; leave it out")
	}
	if _, err := hostName(u.Hostname()); err != nil {
		return err
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%s is not a port from 1 to 65535", quote(port))
		}
	}
	return nil
}
