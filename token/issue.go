package token

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v2/jws"
)

var (
	// ErrNoKeys means: the key set could not be read whole, so nothing is signed.
	ErrNoKeys = errors.New("token: there is no signing key")
	// ErrSubject means: the subject lacks an id or a name, has an empty role or text that is not UTF-8,
	// or is too long for a token.
	ErrSubject = errors.New("token: no token can be issued to this subject")
)

// Issuer makes access tokens. It is safe for concurrent use.
type Issuer struct {
	cfg  Config
	keys *Keyring
	now  func() time.Time
	rand io.Reader
}

// NewIssuer returns an issuer that signs with the current key of keys. now and rand must be safe for
// concurrent use. The error says what is wrong with cfg.
func NewIssuer(cfg Config, keys *Keyring, now func() time.Time, rand io.Reader) (*Issuer, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Issuer{cfg: cfg, keys: keys, now: now, rand: rand}, nil
}

// Issue returns a signed token for s and what it says. Errors: ErrSubject, ErrNoKeys, or a failure of
// the random source; the token is then empty.
func (i *Issuer) Issue(s Subject) (string, Claims, error) {
	signer := i.keys.current().signer
	if signer == nil {
		return "", Claims{}, ErrNoKeys
	}
	claims, err := i.claims(s)
	if err != nil {
		return "", Claims{}, err
	}
	payload, err := json.Marshal(i.wire(claims))
	if err != nil { // text that is not UTF-8
		return "", Claims{}, fmt.Errorf("%w: %w", ErrSubject, err)
	}
	raw, err := signer.sign(payload, headerType)
	if err != nil {
		return "", Claims{}, fmt.Errorf("token: signing: %w", err)
	}
	if len(raw) > MaxSize {
		return "", Claims{}, fmt.Errorf("%w: its name and roles make a token of %d bytes, at most %d are accepted", ErrSubject, len(raw), MaxSize)
	}
	return string(raw), claims, nil
}

func (i *Issuer) claims(s Subject) (Claims, error) {
	if s.User == uuid.Nil || s.Device == uuid.Nil || s.Username == "" || slices.Contains(s.Roles, "") {
		return Claims{}, fmt.Errorf("%w: user, device, name and each role must not be empty", ErrSubject)
	}
	id, err := uuid.NewRandomFromReader(i.rand)
	if err != nil {
		return Claims{}, fmt.Errorf("token: reading random bytes for jti: %w", err)
	}
	now := i.now().Unix()
	return Claims{
		ID:         id.String(),
		User:       s.User,
		Device:     s.Device,
		Generation: max(s.Generation, firstGeneration),
		Username:   s.Username,
		Roles:      append([]string{}, s.Roles...), // [] in JSON, never null
		IssuedAt:   now,
		NotBefore:  now,
		Expires:    now + int64(i.cfg.AccessLifetime/time.Second),
	}, nil
}

func (i *Issuer) wire(c Claims) wireClaims {
	w := wireClaims{
		Issuer:    i.cfg.Issuer,
		Subject:   c.User.String(),
		Audience:  i.cfg.Audience,
		Expires:   c.Expires,
		IssuedAt:  c.IssuedAt,
		NotBefore: c.NotBefore,
		ID:        c.ID,
		DeviceUID: c.Device.String(),
		Roles:     c.Roles,
		Username:  c.Username,
		TokenType: claimTokenType,
		UserID:    c.User.String(),
	}
	if c.Generation > firstGeneration {
		w.Generation = c.Generation
	}
	return w
}

// sign returns payload as a compact JWS whose header is exactly alg, kid and typ.
func (k *keyPair) sign(payload []byte, typ string) ([]byte, error) {
	h := jws.NewHeaders()
	for name, value := range map[string]string{jws.KeyIDKey: k.kid, jws.TypeKey: typ} {
		if err := h.Set(name, value); err != nil {
			return nil, err
		}
	}
	return jws.Sign(payload, jws.WithKey(k.alg.jwa(), k.signer, jws.WithProtectedHeaders(h)))
}
