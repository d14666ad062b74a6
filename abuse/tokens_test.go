package abuse_test

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// floodSize is how many tokens a flood has.
const floodSize = 100_000

// flood asks a check with each token that next makes, none of which may pass, over a few connections on which requests
// go out without waiting for the answers.
func (g *gate) flood(t *testing.T, count int, next func(i int) string) {
	t.Helper()
	const conns, window = 8, 32
	var allows, odd atomic.Int64
	inTurn(conns, func(lane int) {
		c, err := g.dial("checks.http")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(2 * patience))
		r, w := bufio.NewReader(c), bufio.NewWriterSize(c, 64<<10)
		for from := lane; from < count; from += conns * window {
			sent := 0
			for i := from; i < count && sent < window; i += conns {
				_, _ = w.WriteString(checkHead + "Authorization: Bearer " + next(i) + "\r\n\r\n")
				sent++
			}
			if err := w.Flush(); err != nil {
				t.Error(err)
				return
			}
			for range sent {
				status, err := readStatus(r)
				if err != nil {
					t.Errorf("after %d tokens: %v", from, err)
					return
				}
				switch {
				case status == http.StatusOK:
					allows.Add(1)
				case status != http.StatusUnauthorized:
					odd.Add(1)
				}
			}
		}
	})
	if allows.Load() > 0 || odd.Load() > 0 {
		t.Errorf("of %d tokens %d passed, %d were answered neither 200 nor 401", count, allows.Load(), odd.Load())
	}
}

// readStatus reads one answer and returns its status. net/http's reader costs more than the gate does.
func readStatus(r *bufio.Reader) (status int, err error) {
	length := 0
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		switch {
		case status == 0:
			status, err = strconv.Atoi(string(line[len("HTTP/1.1 "):][:3]))
		case bytes.HasPrefix(line, []byte("Content-Length: ")):
			length, err = strconv.Atoi(string(bytes.TrimSpace(line[len("Content-Length: "):])))
		case len(line) == len("\r\n"):
			_, err = r.Discard(length)
			return status, err
		}
		if err != nil {
			return 0, err
		}
	}
}

// TestTokenFloods: V8. Tokens that are all different, and none of them good.
func TestTokenFloods(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	parts := strings.Split(g.anna.Access, ".")
	claims, head := numbered(t, parts[1], "jti"), numbered(t, parts[0], "kid")
	for name, next := range map[string]func(i int) string{
		"signatures": func(i int) string { return parts[0] + "." + parts[1] + "." + signature(i) },
		"claims": func(i int) string {
			return parts[0] + "." + claims(i) + "." + parts[2]
		},
		"spellings of one": func(i int) string { return spelling(g.anna.Access, i) },
		"unknown kids": func(i int) string {
			return head(i) + "." + parts[1] + "." + parts[2]
		},
	} {
		t.Run(name, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				g.flood(t, floodSize, next)
				served()
			}})
		})
	}
}

// signature returns the i-th of many signatures of nobody.
func signature(i int) string {
	raw := make([]byte, ed25519.SignatureSize)
	binary.BigEndian.PutUint64(raw, uint64(i))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// numbered returns a part of a token with one member set to a number, as a text.
func numbered(t *testing.T, part, name string) func(i int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	members := map[string]any{}
	if err != nil || json.Unmarshal(raw, &members) != nil {
		t.Fatalf("%q is no part of a token", part)
	}
	const here = "the number goes here"
	members[name] = here
	raw, err = json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	before, after, _ := strings.Cut(string(raw), here)
	return func(i int) string {
		return base64.RawURLEncoding.EncodeToString([]byte(before + strconv.Itoa(i) + after))
	}
}

// spelling returns the i-th other text that a careless reader takes for the same token: padding, signs of the other
// alphabet or characters that base64 readers leave out, in another place each time.
func spelling(token string, i int) string {
	extra := []string{"=", "==", "~", "+", "/", ":", "."}
	at := 1 + i%(len(token)-1)
	i /= len(token) - 1
	text := extra[i%len(extra)]
	return token[:at] + strings.Repeat(text, 1+i/len(extra)) + token[at:]
}

// TestForeignKids: tokens of an issuer with a key set, each naming another key that the set does not have. They bring
// at most one more request for the set, at no matter what rate.
func TestForeignKids(t *testing.T) {
	t.Parallel()
	var fetches atomic.Int64
	public := base64.RawURLEncoding.EncodeToString(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"known","alg":"EdDSA","use":"sig","x":%q}]}`, public)
	}))
	t.Cleanup(keys.Close)
	g := startGate(t, settings{"issuers": []map[string]any{{
		"name": "elsewhere", "algorithms": []string{"EdDSA"}, "jwks_url": keys.URL, "issuer": "https://elsewhere.example", "audience": "gate",
		"max_lifetime": "1h", "unknown_device": "register",
	}}})
	eventually(t, "the key set was fetched", func() bool { return fetches.Load() > 0 })
	head := numbered(t, encoded(t, map[string]any{"alg": "EdDSA"}), "kid")
	claims := encoded(t, map[string]any{"iss": "https://elsewhere.example", "aud": "gate", "user_id": "7", "device_uid": "d", "exp": time.Now().Add(time.Minute).Unix(),
		"iat": time.Now().Unix(), "jti": "j", "token_type": "access"})
	unknown := func(i int) string { return head(i) + "." + claims + "." + signature(i) }
	// It is the key that is unknown: nothing else is wrong with these tokens before it is looked for.
	if got := g.check(t, unknown(floodSize)); got.header.Get("X-Auth-Reason") != "token_unverified" {
		t.Fatalf("an unknown kid is answered %d %v", got.status, got.header)
	}
	before := fetches.Load()
	g.withstand(t, attack{run: func(t *testing.T, served func()) {
		g.flood(t, floodSize, unknown)
		served()
	}})
	// One at once; a next after 30 seconds, should the flood take so long.
	if got := fetches.Load() - before; got > 3 {
		t.Errorf("the key set was fetched %d times for %d unknown kids", got, floodSize)
	} else {
		t.Logf("%d fetches for %d unknown kids", got, floodSize)
	}
}

// check asks one check as Traefik does.
func (g *gate) check(t *testing.T, token string) reply {
	t.Helper()
	r, err := http.NewRequest("GET", "http://gate.example/auth/traefik", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range forwarded {
		r.Header.Set(name, value)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	got, err := do(g.client("checks.http", false), r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func encoded(t *testing.T, members map[string]any) string {
	raw, err := json.Marshal(members)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// guesses is how many attempts a flood of sign-ins has: more than there is room for at once.
const guesses = 200

// TestSignInFlood: made-up names, and wrong passwords for a real one, from many addresses at once.
func TestSignInFlood(t *testing.T) {
	t.Parallel()
	g := startGate(t, nil)
	for name, username := range map[string]func(i int) string{
		"made-up names": func(i int) string { return fmt.Sprintf("nobody-%d", i) },
		"one real name": func(int) string { return "anna" },
	} {
		t.Run(name, func(t *testing.T) {
			g.withstand(t, attack{run: func(t *testing.T, served func()) {
				client := g.client("api", true)
				client.Transport.(*http.Transport).MaxIdleConnsPerHost = lanes
				var statuses [600]atomic.Int64
				inTurn(guesses, func(i int) { statuses[g.guess(client, username(i), i)].Add(1) })
				served()
				for status := range statuses {
					n := statuses[status].Load()
					if n > 0 && status != 401 && status != 429 && status != 503 {
						t.Errorf("%d guesses are answered %d", n, status)
					}
					if n > 0 {
						t.Logf("%d guesses are answered %d", n, status)
					}
				}
			}})
		})
	}
}

// guess tries a wrong password from an address of its own, and returns the status, 0 for no answer.
func (g *gate) guess(client *http.Client, name string, i int) int {
	body, _ := json.Marshal(map[string]string{"username": name, "password": fmt.Sprintf("a wrong password, number %d", i)})
	r, err := http.NewRequest("POST", "http://gate.example/api/token", strings.NewReader(string(body)))
	if err != nil {
		return 0
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.%d.%d", i/250%250, i%250))
	got, _ := do(client, r)
	return got.status
}
