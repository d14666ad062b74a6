package device

import (
	"encoding/json"
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// recordSchema is the version of the JSON records. A record of a higher one is refused, so that an older
// program never drops members it does not know.
const recordSchema = 1

// Bounds of what a client says about itself. Longer text is cut where it comes in, never refused: a
// browser cannot help the length of its User-Agent.
const (
	MaxName      = 255 // code points
	MaxUserAgent = 512 // bytes
)

// Record is one live device as it is stored. Times are UTC, to the millisecond.
type Record struct {
	Schema     int       `json:"schema"`
	UID        uuid.UUID `json:"device_uid"`
	User       uuid.UUID `json:"user_id"`
	Name       string    `json:"name"`
	UserAgent  string    `json:"user_agent"`
	IPAddress  string    `json:"ip_address"`
	LastIP     string    `json:"last_ip"`
	CreatedAt  time.Time `json:"created_at"`   // of the first sign-in: the device's age
	SignedInAt time.Time `json:"signed_in_at"` // of the last one
	LastSeen   time.Time `json:"last_seen"`
	ExpiresAt  time.Time `json:"expires_at"`
	Ordinal    uint64    `json:"ordinal"`
	Generation uint32    `json:"generation"`       // the user's when it signed in
	Tokens     uint32    `json:"tokens"`           // generation of its tokens, from 1: each sign-in on it ends those before
	Issuer     string    `json:"issuer,omitempty"` // the configured name of the foreign issuer that names it

	// Where it last signed in from, as far as is known: an ISO 3166-1 alpha-2 code, and names.
	Country string `json:"country,omitempty"`
	Region  string `json:"region,omitempty"`
	City    string `json:"city,omitempty"`

	CanUpdateOthers bool `json:"can_update_other_devices"`
	CanDeleteOthers bool `json:"can_delete_other_devices"`

	Refresh Refresh `json:"refresh"`
	Cookie  []byte  `json:"cookie,omitempty"` // SHA-256 of its cookie, where it has one

	// Exchanged stands for the foreign refresh token that was exchanged for the device's first of ours.
	Exchanged []byte `json:"exchanged,omitempty"`
}

// Refresh is what is kept of a device's refresh tokens: hashes only.
type Refresh struct {
	Current   []byte    `json:"current"`            // SHA-256 of the token that is valid now
	Previous  []byte    `json:"previous,omitempty"` // SHA-256 of the one it replaced
	RotatedAt time.Time `json:"rotated_at"`         // when it did
}

func (r Record) row() deviceRow {
	return deviceRow{
		user: r.User, generation: r.Generation, ordinal: r.Ordinal,
		created: r.CreatedAt.UnixMilli(), until: r.ExpiresAt.UnixMilli(), tokens: r.Tokens, foreign: r.Issuer != "", moved: r.Exchanged != nil,
	}
}

func (r Record) encode() []byte {
	r.Schema = recordSchema
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a device record of plain values cannot fail to encode: %v", err))
	}
	return b
}

func decodeRecord(key string, b []byte) (Record, error) {
	var r Record
	// A sign-in reads every record of its user, and this decoder takes a third of the other one's time.
	if err := jsonv2.Unmarshal(b, &r); err != nil {
		return Record{}, fmt.Errorf("the record %q cannot be read: %w", key, err)
	}
	if r.Schema != recordSchema {
		return Record{}, fmt.Errorf("the record %q has schema %d, this version knows %d: use the version that wrote it or a newer one", key, r.Schema, recordSchema)
	}
	return r, nil
}
