package place

import (
	"strings"

	"devicegate/safetext"
)

// maxText bounds a region and a city, in bytes. The longest name of a place that people use has 85.
const maxText = 100

// Place is where an address is, as far as it is known. The zero Place is nowhere. Region and City are at most
// 100 bytes of printable UTF-8; they come from the file or the provider and must be escaped where they are shown.
type Place struct {
	Country string // ISO 3166-1 alpha-2 in upper case, or ""
	Region  string
	City    string
}

// Known reports whether anything is known. Country can be empty all the same.
func (p Place) Known() bool { return p != Place{} }

// clean makes a Place of foreign text.
func clean(country, region, city string) Place {
	return Place{Country: alpha2(country), Region: name(region), City: name(city)}
}

func name(s string) string { return safetext.Bound(strings.TrimSpace(s), maxText) }

// alpha2 returns the country's code in upper case, or "" for anything else. XX and ZZ are no countries but
// how some databases spell "unknown".
func alpha2(s string) string {
	if len(s) != 2 || !letter(s[0]) || !letter(s[1]) {
		return ""
	}
	s = strings.ToUpper(s)
	if s == "XX" || s == "ZZ" {
		return ""
	}
	return s
}

func letter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
