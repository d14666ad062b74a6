package server

import (
	"errors"
	"slices"

	"devicegate/authz"
	"devicegate/config"
	"devicegate/token"
)

// errLongSignatures refuses a key file whose first key leaves no room for a long name in the answer to a proxy.
var errLongSignatures = errors.New("identity_headers.assertion does not go with an RSA key at the head of tokens.signing_key_file, whose long signatures and a long name do not fit into one answer to a proxy: put a key of EdDSA or ES256 there")

// buildAsserter makes what signs assertions, or takes it over with what it has made. What config cannot see of the rule
// that an answer fits is looked at here: the key that signs now. One that takes its place later, or signs for
// an hour more, is bound by the length of each assertion, so that nothing but the longest names is refused.
func (s *Server) buildAsserter(l, before *live) (err error) {
	c := l.config
	if c.IdentityHeaders.Assertion == "" {
		return nil
	}
	if before != nil && before.asserter != nil && assertionConfig(c) == assertionConfig(before.config) {
		l.asserter = before.asserter
		return nil
	}
	if err = s.checkSigner(); err != nil {
		return err
	}
	l.asserter, err = token.NewAsserter(assertionConfig(c), s.keys)
	return err
}

func (s *Server) checkSigner() error {
	keys := s.keys.Keys()
	at := slices.IndexFunc(keys, func(k token.Key) bool { return k.State == token.Signing })
	if s.offline || at < 0 || keys[at].Algorithm != token.RS256 {
		return nil
	}
	if keys[at].Source == token.FromFile {
		return errLongSignatures
	}
	s.log.Warn().Msg("the signing key is still one of RS256: until the next one signs, checks of users with the longest names and roles are refused as keys_unavailable, because their assertions do not fit into an answer")
	return nil
}

var (
	_ authz.Assertions        = (*token.Asserter)(nil)
	_ authz.AssertionForeseer = (*token.Asserter)(nil)
)

func assertionConfig(c *config.Config) token.AssertionConfig {
	return token.AssertionConfig{Issuer: c.Tokens.Issuer, MaxBytes: c.IdentityHeaders.AssertionBytes()}
}
