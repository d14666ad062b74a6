package password

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize = 16
	keySize  = 32
	maxPHC   = 128 // bytes; the longest canonical string has 107
)

// stored is one hash as it is kept. Its text form is the PHC string
// $argon2id$v=19$m=19456,t=2,p=1$<salt>$<key>.
type stored struct {
	params Params
	salt   [saltSize]byte
	key    [keySize]byte
}

// String returns the one spelling that parse accepts.
func (s stored) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		s.params.kib(), s.params.Iterations, s.params.Parallelism,
		base64.RawStdEncoding.EncodeToString(s.salt[:]), base64.RawStdEncoding.EncodeToString(s.key[:]))
}

// parse reads a PHC string, or returns an error that wraps ErrMalformed and repeats none of it: even
// a damaged hash is nothing for a log.
func parse(phc string) (stored, error) {
	if len(phc) > maxPHC {
		return stored{}, malformed("too long")
	}
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" {
		return stored{}, malformed("not five parts, each after a $")
	}
	if part[1] != "argon2id" || part[2] != "v="+strconv.Itoa(argon2.Version) {
		return stored{}, malformed("not argon2id of version 19")
	}
	params, err := parseParams(part[3])
	if err != nil {
		return stored{}, err
	}
	s := stored{params: params}
	if !decode(s.salt[:], part[4]) || !decode(s.key[:], part[5]) {
		return stored{}, malformed("salt or key is not the unpadded base64 of 16 and 32 bytes")
	}
	// One hash has one spelling: no leading zeros, signs or spare bits, and nothing that a decoder
	// passes over in silence.
	if s.String() != phc {
		return stored{}, malformed("not in canonical form")
	}
	return s, nil
}

// parseParams reads m=19456,t=2,p=1, in this order.
func parseParams(text string) (Params, error) {
	var n [3]int64
	member := strings.Split(text, ",")
	if len(member) != len(n) {
		return Params{}, malformed("parameters are not m, t and p")
	}
	for i, name := range [...]string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(member[i], name)
		// 31 bits: the product with 1 KiB below cannot overflow.
		value, err := strconv.ParseUint(digits, 10, 31)
		if !ok || err != nil {
			return Params{}, malformed("parameters are not m, t and p as decimal numbers")
		}
		n[i] = int64(value)
	}
	p := Params{Memory: n[0] * kib, Iterations: int(n[1]), Parallelism: int(n[2])}
	if err := p.check(); err != nil {
		return Params{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return p, nil
}

// decode fills dst, or reports that text cannot hold exactly that many bytes. The decoder skips line
// ends in silence; parse's comparison of the whole string finds them.
func decode(dst []byte, text string) bool {
	if base64.RawStdEncoding.EncodedLen(len(dst)) != len(text) {
		return false
	}
	_, err := base64.RawStdEncoding.Decode(dst, []byte(text))
	return err == nil
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// NeedsRehash reports whether a stored hash should be computed anew at the next right password: it
// costs more or less than p, or cannot be read. As long as hashes of several costs are stored, the
// time of a sign-in tells them apart, and tells old users from unknown ones.
func NeedsRehash(phc string, p Params) bool {
	s, err := parse(phc)
	return err != nil || s.params != p
}
