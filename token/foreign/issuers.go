package foreign

import (
	"context"
	"crypto/sha256"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/errgroup"

	"devicegate/identity"
	"devicegate/reason"
	"devicegate/token"
	"devicegate/token/keysource"
)

// Bounds of the cache of verified tokens: about 16 MiB. A token whose name and roles take more room than
// most is verified anew each time.
const (
	maxCached     = 20_000
	maxCachedText = 256 // bytes
)

// Options is what New puts together.
type Options struct {
	Ours    string // our own iss
	Issuers []Config
	Names   Names
	Now     func() time.Time // safe for concurrent use
}

// Issuers verifies the tokens of other issuers. It is safe for concurrent use.
type Issuers struct {
	ours  string
	list  []*issuer
	now   func() time.Time
	cache *lru.Cache[[sha256.Size]byte, verdict]
}

// verdict is a token that was accepted, by whom, and with which keys.
type verdict struct {
	verified token.Verified
	by       *issuer
	epoch    uint32
}

var _ token.Others = (*Issuers)(nil)

// New returns the issuers. Run must be called for their keys to be kept.
func New(o Options) (*Issuers, error) {
	cache, err := lru.New[[sha256.Size]byte, verdict](maxCached)
	if err != nil {
		return nil, err
	}
	n := names{Names: o.Names}
	for _, c := range o.Issuers {
		n.issuers = append(n.issuers, c.Name)
	}
	s := &Issuers{ours: o.Ours, now: o.Now, cache: cache}
	for _, c := range o.Issuers {
		s.list = append(s.list, newIssuer(c, n))
	}
	return s, nil
}

// Run keeps the keys of all issuers until ctx ends.
func (s *Issuers) Run(ctx context.Context) {
	var g errgroup.Group
	for _, i := range s.list {
		g.Go(func() error { i.Keys.Run(ctx); return nil })
	}
	_ = g.Wait() // none returns an error
}

// Trouble returns why issuers have no keys at this moment, by their names; empty when all have.
func (s *Issuers) Trouble() map[string]error {
	trouble := map[string]error{}
	for _, i := range s.list {
		if err := i.Keys.Trouble(); err != nil {
			trouble[i.Name] = err
		}
	}
	return trouble
}

// Verify implements token.Others.
func (s *Issuers) Verify(raw string, digest [sha256.Size]byte) (token.Verified, reason.Reason, bool) {
	now := s.now().Unix()
	if hit, ok := s.cache.Get(digest); ok && hit.by.Keys.Set().Epoch() == hit.epoch {
		if why := hit.by.live(&hit.verified, access, now); why != reason.OK {
			return token.Verified{}, why, true
		}
		return hit.verified, reason.OK, true
	}
	j, theirs := s.verify(raw, access, now, (*keysource.Source).Unknown)
	if !theirs {
		return token.Verified{}, reason.Undecided, false
	}
	if j.Reason == reason.OK && cheap(j.verified.Foreign) {
		s.cache.Add(digest, verdict{j.verified, j.by, j.epoch})
	}
	return j.verified, j.Reason, true
}

func cheap(f *identity.Foreign) bool {
	size := len(f.Owner) + len(f.Name)
	for _, role := range f.Roles {
		size += len(role)
	}
	return size <= maxCachedText
}

// judgement is what a token came to, and by whom.
type judgement struct {
	verified token.Verified
	token.Finding
	by    *issuer // who signed it, else the only one who may have; nil where several may
	epoch uint32  // of the keys
}

// verify asks everybody who may have made the token; theirs is false where that is nobody here. unknown is told which
// keys lack the one that the token names.
func (s *Issuers) verify(raw string, want purpose, now int64, unknown func(*keysource.Source)) (j judgement, theirs bool) {
	scanned, ok := scan(raw)
	if !ok {
		return j, false // who judges our own tokens refuses it as well
	}
	candidates, ok := s.candidates(&scanned)
	if !ok || len(candidates) == 0 {
		return j, false
	}
	for n, i := range candidates {
		next := i.verify(&scanned, want, now, unknown)
		switch {
		case next.Reason == reason.OK:
			return next, true
		case n == 0, next.Signed: // it is this one's, whoever else is asked
			j = next
		case next.Reason == reason.KeysUnavailable && j.Reason == reason.TokenUnverified:
			j = next
		}
	}
	if !j.Signed && len(candidates) > 1 {
		j.by = nil
		if j.Reason == reason.TokenUnverified {
			j.Cause = "none of the issuers that it may be of has signed it"
		}
	}
	return j, true
}

// candidates returns who may have made a token, by the iss that it claims. A bad iss is nobody's.
func (s *Issuers) candidates(t *scanned) ([]*issuer, bool) {
	iss, present, ok := textOf(t.claims["iss"])
	if !ok || present && iss == s.ours {
		return nil, false
	}
	var named, open []*issuer
	for _, i := range s.list {
		switch i.Issuer {
		case "":
			open = append(open, i)
		case iss:
			named = append(named, i)
		}
	}
	if len(named) > 0 {
		return named, true
	}
	return open, true
}

// verify judges a token by one issuer's rules.
func (i *issuer) verify(s *scanned, want purpose, now int64, unknown func(*keysource.Source)) judgement {
	set := i.Keys.Set()
	verdict := set.Check(s.raw, s.alg, s.kid, s.hasKid)
	j := judgement{by: i, epoch: set.Epoch()}
	switch {
	case verdict.Signed:
		j.verified, j.Finding = i.judge(s, want, now)
	case !verdict.Known && set.Empty():
		j.Finding = refuse(reason.KeysUnavailable, "no key of the issuer is known here at this moment")
	default:
		if !verdict.Known {
			unknown(i.Keys)
		}
		j.Finding = refuse(reason.TokenUnverified, verdict.Cause)
	}
	return j
}
