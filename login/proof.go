package login

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/google/uuid"

	"devicegate/device"
)

// A device cookie is the unpadded base64url form of
//
//	device_uid (16) | secret (32) | tag (16)
//
// The secret is random and kept as a hash. The tag is a MAC under a key of the store: without it anybody
// could have a user's devices looked through by sending nonsense, and learn from the time who has some.
const (
	cookieSecretSize = 32
	cookiePayload    = len(uuid.UUID{}) + cookieSecretSize
	cookiePurpose    = "devicegate device cookie 1\x00"
)

// newCookie returns a new device cookie and its hash, or neither for a request that did not come over
// https: a cookie that was seen on the way would be a proof for whoever saw it.
func (s *Service) newCookie(secure bool, dev uuid.UUID) (value string, hash []byte, err error) {
	if !secure {
		return "", nil, nil
	}
	payload := append(make([]byte, 0, cookiePayload+tagSize), dev[:]...)[:cookiePayload]
	if _, err := io.ReadFull(s.rand, payload[len(dev):]); err != nil {
		return "", nil, fmt.Errorf("making a device cookie: %w", err)
	}
	value = base64.RawURLEncoding.EncodeToString(append(payload, s.refresh.mac(cookiePurpose, payload)[:tagSize]...))
	return value, hashCookie(value), nil
}

func hashCookie(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// cookieDevice returns the device that a cookie of this store was made for; exactly one spelling of each.
func (s *Service) cookieDevice(value string) (dev uuid.UUID, ok bool) {
	if len(value) != base64.RawURLEncoding.EncodedLen(cookiePayload+tagSize) {
		return dev, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || len(b) != cookiePayload+tagSize { // the decoder skips line breaks
		return dev, false
	}
	if !hmac.Equal(s.refresh.mac(cookiePurpose, b[:cookiePayload])[:tagSize], b[cookiePayload:]) {
		return dev, false
	}
	copy(dev[:], b)
	return dev, true
}

// proof returns what tells whether a sign-in proves to be a live device: by the device's current refresh
// token, or the previous one inside the grace, or by its cookie; nil when it proves none. It is asked about
// one user's devices only, so a proof of somebody else's device is a proof of none.
func (s *Service) proof(in SignIn) func(device.Record) bool {
	token, hasToken := s.refresh.parse(in.Refresh)
	dev, hasCookie := s.cookieDevice(in.Cookie)
	if !hasToken && !hasCookie {
		return nil
	}
	return func(rec device.Record) bool {
		if hasToken && rec.UID == token.device {
			if st := s.standing(&rec, token); st == current || st == inGrace {
				return true
			}
		}
		return hasCookie && rec.UID == dev && bytes.Equal(hashCookie(in.Cookie), rec.Cookie)
	}
}

// knownDevice returns the live device of user that a sign-in proves to come from, or the zero id. What
// proves none costs the same whether or not there is such a user: no record is read for it.
func (s *Service) knownDevice(ctx context.Context, user uuid.UUID, in SignIn) (uuid.UUID, error) {
	proves := s.proof(in)
	if proves == nil {
		return uuid.UUID{}, nil
	}
	token, _ := s.refresh.parse(in.Refresh)
	cookie, _ := s.cookieDevice(in.Cookie)
	for _, dev := range []uuid.UUID{token.device, cookie} {
		if owner, known := s.Devices.Index.Owner(dev); !known || owner != user {
			continue
		}
		if ok, err := s.Devices.Proven(ctx, user, dev, proves); ok || err != nil {
			return dev, err
		}
	}
	return uuid.UUID{}, nil
}
