package login

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"devicegate/device"
)

// cookieSize is the size of a device cookie in bytes: 256 random bits, kept as a hash.
const cookieSize = 32

// newCookie returns a new device cookie and its hash, or neither for a request that did not come over
// https: a cookie that was seen on the way would be a proof for whoever saw it.
func (s *Service) newCookie(secure bool) (value string, hash []byte, err error) {
	if !secure {
		return "", nil, nil
	}
	b := make([]byte, cookieSize)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		return "", nil, fmt.Errorf("making a device cookie: %w", err)
	}
	value = base64.RawURLEncoding.EncodeToString(b)
	return value, hashCookie(value), nil
}

func hashCookie(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// proof returns what tells whether a sign-in proves to be a live device of its user: by the device's
// current refresh token, or the previous one inside the grace, or by its cookie. It is asked about that
// user's devices only, so a proof of somebody else's device is a proof of none.
func (s *Service) proof(in SignIn) func(device.Record) bool {
	if !s.config.ReuseKnown {
		return nil
	}
	token, hasToken := s.refresh.parse(in.Refresh)
	var cookie []byte
	if in.Cookie != "" {
		cookie = hashCookie(in.Cookie)
	}
	if !hasToken && cookie == nil {
		return nil
	}
	return func(rec device.Record) bool {
		if hasToken && rec.UID == token.device {
			if st := s.standing(&rec, token); st == current || st == inGrace {
				return true
			}
		}
		return cookie != nil && bytes.Equal(cookie, rec.Cookie)
	}
}
