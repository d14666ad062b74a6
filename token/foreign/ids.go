package foreign

import (
	"github.com/google/uuid"

	"devicegate/identity"
)

// MaxDeviceClaim is the longest device claim in bytes.
const MaxDeviceClaim = 512

// deviceNamespace is that of the ids that are made from device claims (RFC 9562 section 5.5). It never changes: the
// devices in every store are named by it.
var deviceNamespace = uuid.MustParse("6f6c1f5e-5b0e-4f0b-9d0a-3f7d1c2f8a41")

// Owner names a user of an issuer. Names of issuers have no colon, so no two users share one.
func Owner(issuer, userID string) string { return issuer + ":" + userID }

// UserID returns the id that a user of an issuer has here.
func UserID(owner string) uuid.UUID { return identity.UserID(owner) }

// DeviceUID returns the device that an issuer means by a claim: a UUID in any letter case, with or without
// dashes, is itself; anything else, such as the sid of an identity provider, gets a UUID of its own, the same
// each time. The zero UUID is nobody's.
func DeviceUID(issuer, claim string) uuid.UUID {
	// Parse knows two more forms, which no issuer writes; as text they are a claim like any other.
	if len(claim) == 36 || len(claim) == 32 {
		if id, err := uuid.Parse(claim); err == nil {
			return id
		}
	}
	return uuid.NewSHA1(deviceNamespace, []byte(issuer+":"+claim))
}
