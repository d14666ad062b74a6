package server_test

import (
	"strings"
	"sync"
	"testing"

	"devicegate/authz"
	"devicegate/reason"
	"devicegate/token/tokentest"
)

// TestEveryAttackAtEveryEntrance: J1 to J11. Each of the forged tokens is refused at every call that takes a
// token, for the one reason, and nothing comes of it: no change, no key fetched or read from where the token
// says, one line in the log, and no piece of the token in it or in the answer.
func TestEveryAttackAtEveryEntrance(t *testing.T) {
	var mu sync.Mutex
	distinct := map[string]bool{}
	t.Run("algorithms", func(t *testing.T) {
		for _, alg := range tokentest.Algorithms {
			t.Run(string(alg), func(t *testing.T) {
				t.Parallel()
				cfg := settings(t)
				cfg.Tokens.SigningKeyFile = keysOfTests(t, cfg, alg)
				g := attack(t, cfg)
				p := newTrap(t)
				f := g.forger(t, alg, p.lures())
				if got := do(g.checks, "GET", "/auth/traefik", "", []string{"Bearer " + f.Good()}); got.Code != 200 {
					t.Fatalf("the forger's honest token: %d %v", got.Code, got.Header())
				}
				forged := f.Attacks()
				all := make([]presented, len(forged))
				mu.Lock()
				for i, a := range forged {
					all[i] = presented{name: a.Name, raw: a.Raw, access: a.Want}
					distinct[a.Raw] = true
				}
				mu.Unlock()
				g.unmoved(t, func() { g.present(t, g.entrances(), all) })
				if opened, connected := p.opened.Load(), p.connected.Load(); opened != 0 || connected != 0 {
					t.Errorf("the file that tokens name was opened %d times, the address %d times", opened, connected)
				}
				g.honest(t)
			})
		}
	})
	if len(distinct) < 2000 && !t.Failed() {
		t.Errorf("%d distinct tokens are tried, want 2000", len(distinct))
	}
}

// present presents every token at every entrance, and the honest one in between, so that the cache of
// verified tokens is warm beside each of its forgeries.
func (g *attacked) present(t *testing.T, entrances []entrance, tokens []presented) {
	t.Helper()
	for _, p := range tokens {
		for _, e := range entrances {
			if e.most > 0 && len(p.raw) > e.most {
				continue
			}
			g.log.take()
			got := e.send(t, p.raw, []string{"Bearer " + p.raw})
			g.wantRefused(t, e, p, got)
		}
		g.FlushLog()
		if got := do(g.checks, "GET", "/auth/traefik", "", []string{"Bearer " + g.root.Access}); got.Code != 200 {
			g.fault(t, "the honest token after %q: %d %s", p.name, got.Code, got.Header().Get("X-Auth-Reason"))
		}
	}
}

func (g *attacked) wantRefused(t *testing.T, e entrance, p presented, got outcome) {
	t.Helper()
	if want := e.refusal(p); got.status != want.status || got.word != want.word {
		g.fault(t, "%s: %.60q: got %v, want %v", e.name, p.name, got, want)
	}
	line := g.log.take()
	if n := strings.Count(line, "\n"); n != e.lines {
		g.fault(t, "%s: %.60q: %d lines in the log, want %d", e.name, p.name, n, e.lines)
	}
	if piece := shared(line, p.raw); piece != "" {
		g.fault(t, "%s: %.60q: %q of the token is in the log: %s", e.name, p.name, piece, line)
	}
	if piece := shared(got.text, p.raw); piece != "" {
		g.fault(t, "%s: %.60q: %q of the token is in the answer", e.name, p.name, piece)
	}
}

// fault reports what went wrong, up to a bound: a guard that is gone lets hundreds through.
func (g *attacked) fault(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf(format, args...)
	if g.faults++; g.faults == 20 {
		t.Fatal("and so on")
	}
}

// shared returns a piece of at least 16 bytes of a token's text that is in text as well.
func shared(text, raw string) string {
	const size = 16
	noToken := func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	}
	for run := range strings.FieldsFuncSeq(text, noToken) {
		for i := 0; i+size <= len(run); i++ {
			if strings.Contains(raw, run[i:i+size]) {
				return run[i : i+size]
			}
		}
	}
	return ""
}

// TestSeveralCredentials: J13. Where an honest token comes in another way than alone and in its place, it is
// refused at every call that takes it from the header.
func TestSeveralCredentials(t *testing.T) {
	g := attack(t, settings(t))
	good := g.root.Access
	g.unmoved(t, func() {
		for _, values := range [][]string{
			{"Bearer " + good, "Bearer " + good}, {"Bearer " + good, "Bearer " + g.other.Access}, {"Bearer x", "Bearer " + good}, {"Basic eDp5", "Bearer " + good},
			{"Bearer " + good + ", Bearer " + good}, {"Bearer " + good + ","}, {"Bearer  " + good}, {"Bearer\t" + good}, {" Bearer " + good}, {"Bearer" + good},
			{"Bearer " + good + " "}, {"Bearer " + good + "\r\n"}, {"Bearer " + good + "\x00"}, {"Bearer \"" + good + "\""}, {"Bearer token=" + good + ";"},
			{"Basic " + good}, {"Token " + good}, {"JWT " + good}, {good}, {"Bearer"}, {""}, {},
		} {
			_, why := authz.Bearer(values)
			if why == reason.OK {
				t.Fatalf("%.20q is one credential in its place", values)
			}
			for _, e := range g.entrances() {
				if e.inBody {
					continue
				}
				want := code(why)
				if e.lines > 0 {
					want = why.String()
				}
				g.log.take()
				if got := e.send(t, good, values); got.status != 401 || got.word != want {
					g.fault(t, "%s: %.20q: got %v, want 401 %s", e.name, values, got, want)
				}
				if piece := shared(g.log.take(), good); piece != "" {
					g.fault(t, "%s: %.20q: %q of the token is in the log", e.name, values, piece)
				}
			}
		}
	})
	g.honest(t)
}
