package token

import (
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"devicegate/reason"
)

const (
	// AssertionLifetime is exp - iat of an assertion.
	AssertionLifetime = time.Minute
	// AssertionReserve is what an assertion has left at least of its life when it is handed out: a request may
	// wait on its way, and one with a second to live would fail at a backend now and then.
	AssertionReserve = 10 * time.Second
	// DefaultAssertionBytes is the memory of the assertions in use where AssertionConfig names none: room for
	// about 25,000 of usual length.
	DefaultAssertionBytes = 32 << 20

	// assertionType keeps assertions and access tokens apart (RFC 8725 section 3.11): neither passes for the other,
	// even where tokens.audience is the name of a host.
	assertionType = "assertion+jwt"
)

// AssertionConfig is what assertions are made by. It is copied by NewAsserter.
type AssertionConfig struct {
	Issuer     string // iss; not empty
	MaxBytes   int    // the longest assertion that is made; at least 1
	CacheBytes int    // bound of the assertions that are kept; 0 means DefaultAssertionBytes
}

// Asserter makes assertions: JWTs that tell a backend, for a minute, that the gate let somebody pass to it. It is
// safe for concurrent use.
type Asserter struct {
	issuer string
	limit  int
	keys   *Keyring
	kept   *assertions
}

// NewAsserter returns an asserter that signs with the current key of keys. The error says what is wrong with cfg.
func NewAsserter(cfg AssertionConfig, keys *Keyring) (*Asserter, error) {
	if cfg.Issuer == "" {
		return nil, errors.New("token: the issuer is empty: name one")
	}
	if cfg.MaxBytes < 1 || cfg.CacheBytes < 0 {
		return nil, errors.New("token: assertions must be allowed a byte at least, and their memory cannot be negative")
	}
	size := cfg.CacheBytes
	if size == 0 {
		size = DefaultAssertionBytes
	}
	return &Asserter{issuer: cfg.Issuer, limit: cfg.MaxBytes, keys: keys, kept: newAssertions(size)}, nil
}

// Assert returns an assertion that s was let pass to audience, a host name in its one spelling. One that was made
// for exactly the same is handed out again while AssertionReserve of its life is left and the key that signed it
// still signs.
//
// It fails closed: without a key that signs, and where name, roles and key make an assertion longer than
// MaxBytes, the reason is keys_unavailable, which refuses. The assertion is empty, with reason.OK, for a device
// that names more hosts than a client does: see assertions.
func (a *Asserter) Assert(s Subject, audience string, now time.Time) (string, reason.Reason) {
	signer, at := a.keys.current().signer, now.Unix()
	if signer == nil {
		return "", reason.KeysUnavailable
	}
	want := assertion{subject: s, audience: audience, keyID: signer.kid, issuedAt: at}
	shard := a.kept.shard(s.Device)
	shard.mu.Lock() // also while it is signed: who wants the same at the same moment waits, and is handed the same
	defer shard.mu.Unlock()
	raw, more := shard.find(&want)
	if raw != "" || !more {
		return raw, reason.OK
	}
	raw, err := a.make(signer, s, audience, at)
	if err != nil || len(raw) > a.limit {
		return "", reason.KeysUnavailable
	}
	shard.put(want.keep(raw))
	return raw, reason.OK
}

// assertionClaims is the claims set of an assertion. There is no nbf: iat says the same, and the answer to a proxy
// has no room to spare.
type assertionClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	Expires   int64    `json:"exp"`
	IssuedAt  int64    `json:"iat"`
	DeviceUID string   `json:"device_uid"`
	Username  string   `json:"username"`
	Roles     []string `json:"roles"` // [] where there are none, never null
}

var errNobody = errors.New("token: an assertion is made for a user, his device and a host")

func (a *Asserter) make(signer *keyPair, s Subject, audience string, at int64) (string, error) {
	if s.User == uuid.Nil || s.Device == uuid.Nil || s.Username == "" || audience == "" {
		return "", errNobody
	}
	payload, err := json.Marshal(assertionClaims{
		Issuer: a.issuer, Subject: s.User.String(), Audience: audience, Expires: at + int64(AssertionLifetime/time.Second), IssuedAt: at,
		DeviceUID: s.Device.String(), Username: s.Username, Roles: s.Roles,
	})
	if err != nil {
		return "", err
	}
	raw, err := signer.sign(payload, assertionType)
	return string(raw), err
}
