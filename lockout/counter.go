package lockout

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"

	"github.com/google/uuid"
)

// counter names one counter. It is compact and holds no pointer, because a hundred thousand of them are
// kept in memory.
type counter struct {
	name [32]byte // SHA-256 of the normalised name
	kind kind
	at   [16]byte // the address or the device, as many bytes as the kind has
}

// kind says what a counter counts by. The values are part of the ids that clients hold.
type kind byte

const (
	everywhere kind = iota
	fromUnknown
	fromIPv4
	fromIPv6 // the upper 8 bytes of the address
	ofDevice
)

// size is how many bytes of at the kinds use.
var size = [...]int{everywhere: 0, fromUnknown: 0, fromIPv4: 4, fromIPv6: 8, ofDevice: 16}

const (
	root      = "c/"
	hashChars = 64
)

var errHash = errors.New("the hash of the name is not 64 lower-case hexadecimal characters")

func decodeHash(s string) (hash [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(hash) || hex.EncodeToString(b) != s {
		return hash, errHash
	}
	return [32]byte(b), nil
}

func ofNetwork(name [32]byte, net netip.Prefix) counter {
	c := counter{name: name, kind: fromUnknown}
	switch ip := net.Addr(); {
	case ip.Is4():
		c.kind = fromIPv4
		b := ip.As4()
		copy(c.at[:], b[:])
	case ip.Is6():
		c.kind = fromIPv6
		b := ip.As16()
		copy(c.at[:8], b[:8])
	}
	return c
}

// network returns the network of the counter; invalid where it has none or an unknown one.
func (c counter) network() netip.Prefix {
	switch c.kind {
	case fromIPv4:
		return network(netip.AddrFrom4([4]byte(c.at[:4])))
	case fromIPv6:
		return netip.PrefixFrom(netip.AddrFrom16(c.at), 64)
	}
	return netip.Prefix{}
}

func (c counter) networkText() string {
	if p := c.network(); p.IsValid() {
		return p.String()
	}
	return ""
}

func (c counter) device() uuid.UUID {
	if c.kind == ofDevice {
		return c.at
	}
	return uuid.UUID{}
}

func (c counter) nameHash() string { return hex.EncodeToString(c.name[:]) }

// key returns where the counter is stored.
func (c counter) key() string {
	prefix := root + c.nameHash() + "/"
	switch c.kind {
	case everywhere:
		return prefix
	case ofDevice:
		return prefix + "d/" + c.device().String()
	}
	return prefix + "n/" + c.networkText()
}

// parseKey is the inverse of key. It takes no other spelling.
func parseKey(key string) (counter, bool) {
	rest, ok := strings.CutPrefix(key, root)
	if !ok || len(rest) <= hashChars || rest[hashChars] != '/' {
		return counter{}, false
	}
	name, err := decodeHash(rest[:hashChars])
	if err != nil {
		return counter{}, false
	}
	c := counter{name: name}
	rest = rest[hashChars+1:]
	if text, ok := strings.CutPrefix(rest, "n/"); ok {
		p, _ := netip.ParsePrefix(text) // what is no network is told by the comparison below
		c = ofNetwork(name, p)
	} else if text, ok := strings.CutPrefix(rest, "d/"); ok {
		id, _ := uuid.Parse(text)
		c.kind, c.at = ofDevice, id
	}
	return c, c.key() == key
}

// id returns the counter as one segment of a URL.
func (c counter) id() string {
	b := append([]byte{byte(c.kind)}, c.name[:]...)
	return base64.RawURLEncoding.EncodeToString(append(b, c.at[:size[c.kind]]...))
}

// parseID is the inverse of id. It takes no other spelling: base64 has several, and its decoder passes
// over line ends.
func parseID(id string) (counter, bool) {
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(b) < 33 || int(b[0]) >= len(size) || len(b) != 33+size[b[0]] {
		return counter{}, false
	}
	c := counter{kind: kind(b[0]), name: [32]byte(b[1:33])}
	copy(c.at[:], b[33:])
	return c, c.id() == id
}
