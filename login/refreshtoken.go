package login

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"

	"devicegate/db"
)

// RefreshPrefix begins every refresh token, so that people and scanners of secrets know one.
const RefreshPrefix = "dgr_"

// A refresh token is "dgr_" and the unpadded base64url form of
//
//	device_uid (16) | token generation of the device (4) | secret (32) | tag (16)
//
// The tag is a MAC under a key of the store: without it anybody who knows a device_uid could invent a
// token, have it taken for an old one that is used again, and so sign the owner out. The successor's
// secret is derived from the presented token under the same key, so that a client whose answer was lost
// gets the same successor again, also after a restart, although only hashes are kept.
const (
	refreshKeyKey = "m/refresh_key"
	headSize      = len(uuid.UUID{}) + 4
	secretSize    = 32
	tagSize       = 16
	payloadSize   = headSize + secretSize
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
	return RefreshPrefix + base64.RawURLEncoding.EncodeToString(tagged)
}

// first returns the first refresh token of one token generation of a device.
func (k refreshKey) first(device uuid.UUID, generation uint32, random io.Reader) (string, error) {
	payload := make([]byte, payloadSize)
	copy(payload, device[:])
	binary.BigEndian.PutUint32(payload[len(device):], generation)
	if _, err := io.ReadFull(random, payload[headSize:]); err != nil {
		return "", fmt.Errorf("making a refresh token: %w", err)
	}
	return k.token(payload), nil
}

// presented is a refresh token that this store has made, whatever has become of it since.
type presented struct {
	device     uuid.UUID
	generation uint32
	payload    []byte
	hash       []byte // as records keep it
}

// parse recognises a token that this store has made; exactly one spelling of each.
func (k refreshKey) parse(token string) (p presented, ok bool) {
	encoded, found := strings.CutPrefix(token, RefreshPrefix)
	if !found || len(encoded) != base64.RawURLEncoding.EncodedLen(payloadSize+tagSize) {
		return presented{}, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(b) != payloadSize+tagSize {
		return presented{}, false
	}
	payload := b[:payloadSize]
	if !hmac.Equal(k.mac("devicegate refresh tag 1\x00", payload)[:tagSize], b[payloadSize:]) {
		return presented{}, false
	}
	p = presented{generation: binary.BigEndian.Uint32(payload[len(p.device):]), payload: payload, hash: hashRefresh(token)}
	copy(p.device[:], payload)
	return p, true
}

// successor returns the one token that follows the one with payload.
func (k refreshKey) successor(payload []byte) string {
	next := append([]byte{}, payload[:headSize]...)
	return k.token(append(next, k.mac("devicegate refresh successor 1\x00", payload)...))
}

func hashRefresh(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
