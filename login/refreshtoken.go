package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"devicegate/db"
)

// A refresh token is "dgr_" and the unpadded base64url form of
//
//	device_uid (16) | secret (32) | tag (16)
//
// The tag is a MAC under a key of the store: without it anybody who knows a device_uid could invent a
// token, have it taken for an old one that is used again, and so sign the owner out. The successor's
// secret is derived from the presented token under the same key, so that a client whose answer was lost
// gets the same successor again, also after a restart, although only hashes are kept.
const (
	refreshPrefix = "dgr_"
	refreshKeyKey = "m/refresh_key"
	secretSize    = 32
	tagSize       = 16
	payloadSize   = len(uuid.UUID{}) + secretSize
)

// refreshKey makes, recognises and succeeds refresh tokens.
type refreshKey []byte

// openRefreshKey reads the store's key, making it on first use.
func openRefreshKey(ctx context.Context, store db.Store, random io.Reader) (refreshKey, error) {
	for {
		e, err := store.Get(ctx, refreshKeyKey)
		if err == nil {
			if len(e.Value) != secretSize {
				return nil, fmt.Errorf("the record %q has %d bytes instead of %d", e.Key, len(e.Value), secretSize)
			}
			return refreshKey(e.Value), nil
		}
		if !errors.Is(err, db.ErrNotFound) {
			return nil, err
		}
		key := make([]byte, secretSize)
		if _, err := io.ReadFull(random, key); err != nil {
			return nil, fmt.Errorf("making the refresh key: %w", err)
		}
		txn := db.Txn{If: []db.Condition{db.Absent(refreshKeyKey)}, Writes: []db.Write{db.Put(refreshKeyKey, key)}}
		if _, err := store.Commit(ctx, txn); err != nil && !errors.Is(err, db.ErrConflict) {
			return nil, err
		}
	}
}

func (k refreshKey) mac(purpose string, data []byte) []byte {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(purpose))
	h.Write(data)
	return h.Sum(nil)
}

func (k refreshKey) token(payload []byte) string {
	tagged := append(append([]byte{}, payload...), k.mac("devicegate refresh tag 1\x00", payload)[:tagSize]...)
	return refreshPrefix + base64.RawURLEncoding.EncodeToString(tagged)
}

// first returns a new device's first refresh token.
func (k refreshKey) first(device uuid.UUID, random io.Reader) (string, error) {
	payload := make([]byte, payloadSize)
	copy(payload, device[:])
	if _, err := io.ReadFull(random, payload[len(device):]); err != nil {
		return "", fmt.Errorf("making a refresh token: %w", err)
	}
	return k.token(payload), nil
}

// parse returns the payload of a token that this store has made, whatever has become of it since. Exactly
// one spelling of each is recognised.
func (k refreshKey) parse(token string) (device uuid.UUID, payload []byte, ok bool) {
	encoded, found := strings.CutPrefix(token, refreshPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(payloadSize+tagSize) {
		return device, nil, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) != payloadSize+tagSize {
		return device, nil, false
	}
	payload = b[:payloadSize]
	if !hmac.Equal(k.mac("devicegate refresh tag 1\x00", payload)[:tagSize], b[payloadSize:]) {
		return device, nil, false
	}
	copy(device[:], payload)
	return device, payload, true
}

// successor returns the one token that follows the one with payload.
func (k refreshKey) successor(payload []byte) string {
	next := append([]byte{}, payload[:len(uuid.UUID{})]...)
	return k.token(append(next, k.mac("devicegate refresh successor 1\x00", payload)...))
}

func hashRefresh(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
