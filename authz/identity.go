package authz

import (
	"strings"

	"devicegate/device"
)

// HeaderNames are the names that the identity travels under. They are the operator's and were checked by
// the configuration.
type HeaderNames struct{ User, Roles, Device string }

// identity returns the headers for a subject: every name is set or removed, none is left to the client.
func (n HeaderNames) identity(s device.Subject) Identity {
	id := Identity{Set: make([]Header, 0, 3)}
	id.Set = append(id.Set, Header{n.User, EncodeValue(s.Name)})
	if len(s.Roles) > 0 {
		id.Set = append(id.Set, Header{n.Roles, strings.Join(s.Roles, ",")})
	} else {
		id.Remove = []string{n.Roles}
	}
	id.Set = append(id.Set, Header{n.Device, s.Device.String()})
	return id
}

// nobody takes every identity header away: whoever passes without being known must not pass for somebody.
func (n HeaderNames) nobody() Identity {
	return Identity{Remove: []string{n.User, n.Roles, n.Device}}
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
