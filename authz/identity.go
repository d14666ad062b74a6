package authz

import (
	"strings"

	"devicegate/device"
)

// HeaderNames are the names that the identity travels under. They are the operator's and were checked by
// the configuration.
type HeaderNames struct {
	User, Roles, Device string
	Assertion           string // "" where none is made
}

// identity returns the headers for a subject: every name is set or removed, none is left to the client. assertion is
// his signed identity, "" where there is none.
func (n HeaderNames) identity(s device.Subject, assertion string) Identity {
	headers := 3
	if assertion != "" {
		headers++
	}
	id := Identity{Set: make([]Header, 0, headers)}
	id.Set = append(id.Set, Header{n.User, EncodeValue(s.Name)})
	if len(s.Roles) > 0 {
		id.Set = append(id.Set, Header{n.Roles, strings.Join(s.Roles, ",")})
	} else {
		id.Remove = []string{n.Roles}
	}
	id.Set = append(id.Set, Header{n.Device, s.Device.String()})
	switch {
	case assertion != "":
		id.Set = append(id.Set, Header{n.Assertion, assertion})
	case n.Assertion != "":
		id.Remove = append(id.Remove, n.Assertion)
	}
	return id
}

// nobody takes every identity header away: whoever passes without being known must not pass for somebody.
func (n HeaderNames) nobody() Identity {
	id := Identity{Remove: []string{n.User, n.Roles, n.Device}}
	if n.Assertion != "" {
		id.Remove = append(id.Remove, n.Assertion)
	}
	return id
}

// EncodeValue writes a value so that it fits any header: bytes outside 0x20 to 0x7E, '%' and ',' are
// percent-encoded. Nothing is dropped and nothing cut.
func EncodeValue(s string) string {
	const hex = "0123456789ABCDEF"
	plain := true
	for i := 0; i < len(s) && plain; i++ {
		plain = isPlain(s[i])
	}
	if plain {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; isPlain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func isPlain(c byte) bool { return 0x20 <= c && c <= 0x7E && c != '%' && c != ',' }
