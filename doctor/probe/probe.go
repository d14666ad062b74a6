package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
)

// probe is one request through the proxy and what has to hold of it. What it means that it does not hold, and what
// to do, is said by faults under its code.
type probe struct {
	sent string // in words: the finding says where it comes from
	request
	holds rule
	code  string

	// always is for what needs no backend to be judged: whether a plain request without a good token is let
	// through can be seen from outside.
	always bool
	// h1 is for what HTTP/2 cannot say.
	h1 bool
}

// request is what goes out, and nothing besides. In target and lines {mark} becomes the probe's mark.
type request struct {
	method  string   // GET by default
	target  string   // as it stands in the request line
	version string   // HTTP/1.1 by default
	host    string   // of the header Host; the run's by default
	lines   []string // of the head, each with whatever it has instead of "Name: value"
	body    string

	mark string // given by whoever wants two probes to have the same; made otherwise
	h2   bool
}

// exchange is a probe and what came of it.
type exchange struct {
	probe
	response response
	before   int    // how many requests with its mark had arrived before
	roles    string // that the account had then, comma-joined
	err      error  // the proxy gave no answer: for an odd request that is one, too
}

// newMark returns a word that stands in nothing else.
func newMark() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails: crypto/rand ends the program instead
	return markStart + hex.EncodeToString(b[:])
}

// where says which probe showed something, for Finding.Where.
func (x exchange) where() string {
	version := ""
	if x.h2 {
		version = " over HTTP/2"
	}
	return fmt.Sprintf("%s %s%s (%s)", x.method, strings.ReplaceAll(x.target, x.mark, "..."), version, x.sent)
}

// complete fills in what a table leaves out.
func (r *run) complete(p probe) probe {
	if p.mark == "" {
		p.mark = newMark()
	}
	if p.method == "" {
		p.method = "GET"
	}
	if p.target == "" {
		p.target = r.path + "/{mark}"
	}
	if p.version == "" {
		p.version = "HTTP/1.1"
	}
	if p.host == "" {
		p.host = r.Host
	}
	p.target = strings.ReplaceAll(p.target, "{mark}", p.mark)
	lines := make([]string, len(p.lines))
	for i, l := range p.lines {
		lines[i] = strings.ReplaceAll(l, "{mark}", p.mark)
	}
	p.lines = append(lines, markHeader+": "+p.mark)
	return p
}

// inBoth returns the probes, and again over HTTP/2, where the proxy speaks it, those that can be said in it.
func (r *run) inBoth(all []probe) []probe {
	both := append([]probe(nil), all...)
	for _, p := range all {
		if r.http2 && !p.h1 {
			p.h2 = true
			both = append(both, p)
		}
	}
	return both
}

// one sends one probe.
func (r *run) one(ctx context.Context, p probe) exchange {
	x := r.send(ctx, p)
	r.played = append(r.played, x)
	return x
}

func (r *run) send(ctx context.Context, p probe) exchange {
	x := exchange{probe: r.complete(p), roles: strings.Join(r.account.Roles, ",")}
	r.backend.expect(x.mark)
	x.before = len(r.backend.arrivals(x.mark))
	x.response, x.err = r.exchange(ctx, x.request)
	return x
}

// play sends probes, a few at once. That the proxy closes the connection on an odd one is an answer; an error is
// the end of ctx.
func (r *run) play(ctx context.Context, all []probe) error {
	done := make([]exchange, len(all))
	var group errgroup.Group
	group.SetLimit(inFlight)
	for i, p := range all {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			done[i] = r.send(ctx, p)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.played = append(r.played, done...)
	return r.tired(done)
}

// tired gives up when hardly any probe was answered: the run would take for ever and prove nothing.
func (r *run) tired(done []exchange) error {
	silent := 0
	for _, x := range done {
		if x.response.timedOut {
			silent++
		}
	}
	if silent > 3 && silent > len(done)/2 {
		return fmt.Errorf("the proxy left %d of %d probes without an answer for %s each: does something in front of it hold them back? A longer --timeout may help", silent, len(done), r.Timeout)
	}
	return nil
}

// arrivals returns what the backend got of a probe, without what it got of later ones with the same mark.
func (r *run) arrivals(x exchange) []arrival {
	all := r.backend.arrivals(x.mark)
	end := len(all)
	for _, other := range r.played {
		if other.mark == x.mark && other.before > x.before {
			end = min(end, other.before)
		}
	}
	return all[min(x.before, end):end]
}
