// Package keysource keeps the keys of one foreign issuer: a shared secret or a public key from a file, or a
// JWK set (RFC 7517) from a file or from a URL. It says whether a signature is good and judges nothing else:
// the spelling of a token and its claims are the caller's.
//
// What it guarantees:
//
//   - It fails closed. A set without keys verifies nothing, and so does a zero Set.
//   - A key is bound to algorithms when it is read, by its kind, and the token's alg only picks among them:
//     HS256, HS384 and HS512 belong to a shared secret alone, a secret belongs to nothing else, and a source
//     has a secret or public keys and never both. So no HMAC is computed with a public key. A JWK's own alg
//     narrows it to that one, and an algorithm outside of the issuer's list belongs to no key.
//   - The token never says where a key is. No name in it becomes a path or an address, and what a JWK points to
//     (x5u, jku) is not followed.
//   - A secret or a public key file is one key, and kid decides nothing. In a JWK set kid must name exactly one
//     key: a key without kid is not used, and two keys with one kid are both not used.
//   - Only public halves are kept of what is published, and a published secret (oct) is never used.
//   - A document is taken whole or not at all. Until a better one comes the keys are as before, and a document
//     without one usable key is no better one.
//   - A URL is asked every 5 minutes, and when a token names an unknown kid, but not within 30 seconds of the
//     last time for that: a flood of such tokens costs at most two requests a minute. No request is made while a
//     token waits. Nothing in the answer leads elsewhere: redirects are errors.
//   - Keys from a URL are used for 24 hours after they were last fetched, then there are none until they can be
//     fetched. Keys from a file do not age.
//   - Whenever a key goes or changes the set's epoch is raised, so that a verdict remembered under an epoch does
//     not outlive its key.
//
// Errors and log lines name the issuer and the file or address, without its query, and hold no byte of a secret.
// Text that came from the other side is bounded in them.
package keysource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Options say where the keys of one issuer are. They are copied by Open.
type Options struct {
	Name       string   // the issuer's name in the configuration, for messages
	Algorithms []string // those of the issuer's tokens: HS* for a secret, RS*, PS*, ES* and EdDSA for the rest; at least one

	// Exactly one of these is set.
	SecretFile    string // the secret's bytes as they are, but for one line break at the end
	PublicKeyFile string // PEM: one public key or certificate
	JWKSFile      string // a JWK set, or one JWK
	JWKSURL       string // of a JWK set; https, or http to this machine

	Now func() time.Time // safe for concurrent use; nil means time.Now

	// Log is told what is worth a line: of information where err is nil, else a warning. It must not block.
	// Nil means that nobody is told.
	Log func(what string, err error)

	Transport http.RoundTripper // for JWKSURL; nil means one made for this source alone
	Jitter    func() float64    // at least 0 and below 1, called by Run alone; nil means random
}

// Source is where the keys of one issuer come from. Run keeps them current; everything else is safe for
// concurrent use.
type Source struct {
	options  Options
	set      atomic.Pointer[Set]
	trouble  atomic.Pointer[error]
	warnings atomic.Pointer[[]string]
	told     string        // what was last said about keys that are not used; Open's and Run's alone
	file     *watched      // nil for a URL; Open's and Run's alone
	remote   *remote       // nil for a file; Open's and Run's alone
	unknown  chan struct{} // of one place; nil for a file
}

// found is what a file or a document holds: one key without a name, or named ones.
type found struct {
	one      *key
	keys     map[string]*key
	skipped  []string // which keys are not used, and why
	exposed  []string // which keys should never have been published
	warnings []string
}

// Open returns the source of an issuer's keys. A file is read now, and the error says what is wrong with it. A
// URL is checked and not asked: there are no keys before Run has fetched them.
func Open(o Options) (*Source, error) {
	o.Algorithms = slices.Clone(o.Algorithms)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = func(string, error) {}
	}
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	s := &Source{options: o}
	s.set.Store(&Set{epoch: 1, algorithms: o.Algorithms})
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("the keys of the issuer %q: %w", o.Name, err)
	}
	return s, nil
}

func (s *Source) open() error {
	o := &s.options
	if err := o.validate(); err != nil {
		return err
	}
	if o.JWKSURL != "" {
		return s.openURL()
	}
	s.file = o.watched()
	loaded, err := s.file.look(o.Now())
	if err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	s.install(loaded)
	return nil
}

// validate checks what the choice of a source and the algorithms say about each other.
func (o *Options) validate() error {
	sources := 0
	for _, source := range []string{o.SecretFile, o.PublicKeyFile, o.JWKSFile, o.JWKSURL} {
		if source != "" {
			sources++
		}
	}
	if sources != 1 {
		return fmt.Errorf("%d sources are named: name exactly one of secret_file, public_key_file, jwks_file and jwks_url", sources)
	}
	if len(o.Algorithms) == 0 {
		return errors.New("no algorithm is named: name those that the issuer signs with")
	}
	for i, name := range o.Algorithms {
		alg, ok := algorithms[name]
		if !ok {
			return fmt.Errorf("the algorithm %.20q is unknown: RS256, PS256 and ES256 (also 384 and 512), EdDSA, or HS256, HS384 and HS512 are accepted", name)
		}
		if slices.Contains(o.Algorithms[:i], name) {
			return fmt.Errorf("the algorithm %s is named twice", name)
		}
		if (alg.kind == secret) != (o.SecretFile != "") { // the classic confusion: a public key as HMAC's secret
			return fmt.Errorf("the algorithm %s does not go with the source: HS256, HS384 and HS512 are for a secret_file and for nothing else", name)
		}
	}
	return nil
}

// Set returns the keys of this moment, never nil. It takes no lock.
func (s *Source) Set() *Set { return s.set.Load() }

// OneKey says whether there is one key whatever kid says: that of a secret or public key file.
func (s *Source) OneKey() bool { return s.options.SecretFile != "" || s.options.PublicKeyFile != "" }

// Unknown says that a token named a kid which is not in the set. It brings the next request forward, never to
// within 30 seconds of the last. It does not wait and allocates nothing; for files it does nothing.
func (s *Source) Unknown() {
	select {
	case s.unknown <- struct{}{}:
	default:
	}
}

// Run keeps the keys current until ctx ends: it asks the URL at once and then as the package comment says, or
// looks at the file every 30 seconds. It is to be called once.
func (s *Source) Run(ctx context.Context) {
	if s.remote != nil {
		s.follow(ctx)
		return
	}
	s.watch(ctx)
}

// Trouble returns nil, or why there are no keys at this moment.
func (s *Source) Trouble() error {
	if err := s.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Warnings returns what is wrong with the keys in use although they are used. The caller must not change it.
func (s *Source) Warnings() []string {
	if list := s.warnings.Load(); list != nil {
		return *list
	}
	return nil
}

// install puts what was read in the place of the keys before, and tells what is new.
func (s *Source) install(loaded *found) {
	before := s.set.Load()
	next := before.replaced(loaded)
	s.set.Store(next)
	s.trouble.Store(nil)
	s.warnings.Store(&loaded.warnings)
	if added, gone := next.without(before), before.without(next); added+gone > 0 {
		s.log(fmt.Sprintf("%d in use, %d of them new or changed, %d gone or changed", next.count(), added, gone), nil)
	}
	s.tell(loaded)
}

// tell says which keys are not used, unless it was the last thing said about them: a document is read every few
// minutes, by some issuers with its keys in another order each time.
func (s *Source) tell(loaded *found) {
	slices.Sort(loaded.skipped)
	slices.Sort(loaded.exposed)
	said := fmt.Sprintf("%q %q", loaded.skipped, loaded.exposed)
	if said == s.told {
		return
	}
	s.told = said
	if len(loaded.skipped) > 0 {
		s.log("not used: "+summary(loaded.skipped), nil)
	}
	if len(loaded.exposed) > 0 {
		s.log("published where only public keys may be", fmt.Errorf("whoever reads it can sign: tell the issuer to replace it: %s", summary(loaded.exposed)))
	}
}

func (s *Source) log(what string, err error) {
	s.options.Log(fmt.Sprintf("keys of the issuer %q: %s", s.options.Name, what), err)
}

// summary returns the first few of list on one line.
func summary(list []string) string {
	const shown = 8
	text := strings.Join(list[:min(len(list), shown)], ", ")
	if more := len(list) - shown; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return cmp.Or(text, "none")
}
