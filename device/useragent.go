package device

import (
	"strings"
	"unicode"

	"github.com/mileusna/useragent"
)

// maxGuess bounds a name made from a User-Agent that the parser does not know, in code points.
const maxGuess = 60

// GuessName returns what a person would call the device that sent userAgent: "Firefox on Linux". What the
// parser does not know is shown as it is, cut; control characters, which could break a line, are left out.
func GuessName(userAgent string) string {
	ua := useragent.Parse(userAgent)
	os := ua.OS
	if ua.OS == useragent.IOS && ua.Device != "" {
		os = ua.Device // iPhone or iPad says more than iOS; on Android it is a model number
	}
	if known(ua) && os != "" {
		return ua.Name + " on " + os
	}
	return shorten(userAgent)
}

// known tells a browser that the parser has a name for from the first word of just any text, which it
// returns as a name as well.
func known(ua useragent.UserAgent) bool {
	return ua.Name != "" && (ua.Desktop || ua.Mobile || ua.Tablet) && !ua.Bot
}

func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.TrimSpace(s)
	if runes := []rune(s); len(runes) > maxGuess {
		return strings.TrimSpace(string(runes[:maxGuess])) + "…"
	}
	return s
}
