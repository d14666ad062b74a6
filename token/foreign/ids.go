package foreign

import "github.com/google/uuid"

// MaxDeviceClaim is the longest device claim in bytes.
const MaxDeviceClaim = 512

// The namespaces of the ids that are made from what an issuer says (RFC 9562 section 5.5). They never change: the
// devices and users in every store are named by them.
var (
	deviceNamespace = uuid.MustParse("6f6c1f5e-5b0e-4f0b-9d0a-3f7d1c2f8a41")
	userNamespace   = uuid.MustParse("c1a7d3b2-0f64-4f0e-8f5b-2b9e6a7d4c90")
)

// Owner names a user of an issuer. Names of issuers have no colon, so no two users share one.
func Owner(issuer, userID string) string { return issuer + ":" + userID }

// UserID returns the id that a user of an issuer has here.
func UserID(owner string) uuid.UUID { return uuid.NewSHA1(userNamespace, []byte(owner)) }

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
