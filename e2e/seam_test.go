package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// seamProducts are the names of the products, in the order of the columns of docs/seam.md.
var seamProducts = []string{"nginx", "traefik", "envoy_grpc", "envoy_http", "caddy", "haproxy"}

// seamRow is a case of docs/seam.md. Its label is the number in the list of cases, or the class of
// attack (B12) where the list has none for it.
type seamRow struct {
	label string
	testCase
}

func (r seamRow) name() string { return r.label + " " + r.title }

// rows returns the rows that belong to one case number of the list or to one class.
func rows(label string, all ...testCase) []seamRow {
	var labelled []seamRow
	for _, c := range all {
		labelled = append(labelled, seamRow{label, c})
	}
	return labelled
}

// seamRows returns all cases that the table of TestCases does not have.
func seamRows() []seamRow {
	return slices.Concat(seamTokenRows(), seamBodyRows(), seamMetadataRows(), seamPathRows(), seamProtocolRows(), seamFailureRows(), seamSizeRows())
}

// TestSeam plays these cases, then the whole table again within TLS over HTTP/1.1 and HTTP/2, over HTTP/2
// in the clear and in small part over HTTP/3, then the dangerous settings, and at last compares docs/seam.md with what it saw. It takes
// no part of this for granted: a page that names a test that did not run fails.
func TestSeam(t *testing.T) {
	t.Parallel()
	run := &seamRun{ran: map[string]bool{}}
	t.Run("on", func(t *testing.T) {
		for _, p := range products {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				b := startSeamBench(t, p)
				run.plain(t, b)
				run.otherwise(t, b)
				run.dangers(t, b)
				t.Run("B25 no token in the log", func(t *testing.T) { logsNoToken(t, b) })
				run.done(p.name, "B25 no token in the log")
			})
		}
	})
	if t.Failed() {
		return // the page would only repeat it
	}
	t.Run("page", func(t *testing.T) { comparePage(t, run) })
}

// seamRun is what TestSeam has played so far. It is safe for concurrent use.
type seamRun struct {
	mu  sync.Mutex
	ran map[string]bool // product/name
}

func (r *seamRun) done(product, name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran[product+"/"+name] = true
}

// plain plays the rows over HTTP/1.1 as the examples listen.
func (r *seamRun) plain(t *testing.T, b *bench) {
	for _, row := range seamRows() {
		if _, mine := row.want[b.name]; !mine {
			continue
		}
		t.Run(row.name(), func(t *testing.T) { row.run(t, b) })
		r.done(b.name, row.name())
	}
}

// way is how clients speak to a proxy, besides HTTP/1.1 in the clear.
type way struct {
	name string
	send sender
	fits func(testCase) bool
	want map[string]answers // what differs, by title
	more []seamRow
}

// otherwise plays the table and the rows in all other ways.
func (r *seamRun) otherwise(t *testing.T, b *bench) {
	within, at := b.withListeners(t)
	for _, way := range []way{
		{"TLS", sendTLS, func(testCase) bool { return true }, nil, nil},
		{"HTTP2", sendHTTP2, fitsHTTP2, differsHTTP2, http2Rows()},
		{"H2C", sendClear, fitsHTTP2, differsHTTP2, http2Rows()},
		{"HTTP3", sendHTTP3, fitsHTTP3, nil, http3Rows()},
	} {
		if at[way.name] == "" {
			continue
		}
		said := slices.DeleteFunc(slices.Concat(tableRows(), seamRows()), func(r seamRow) bool {
			return r.send != nil || r.fault != healthy || !way.fits(r.testCase)
		})
		for _, row := range append(said, way.more...) {
			if _, mine := row.want[b.name]; !mine {
				continue
			}
			again := row.testCase
			again.send = func(t *testing.T, _ *bench, id string) exchange {
				return within.untilLogged(t, again.want[b.name], id, func() exchange {
					return within.exchangeBy(t, way.send, at[way.name], row.raw(within, id), id)
				})
			}
			if other, differs := way.want[row.title][b.name]; differs {
				again.want = only(other, b.name)
			}
			name := way.name + " " + row.name()
			t.Run(name, func(t *testing.T) { again.run(t, within) })
			r.done(b.name, name)
		}
	}
}

// untilLogged sends a request until the gate has logged that it refused it: so many are refused here
// that the gate, which writes a hundred a second for one reason and counts the others, may leave it out.
func (b *bench) untilLogged(t *testing.T, want outcome, id string, send func() exchange) exchange {
	t.Helper()
	x := send()
	if want.reason == "" || x.header.Get("X-Auth-Reason") != want.reason {
		return x
	}
	eventually(patience, func() bool {
		if len(b.gate.decisions(id)) > 0 {
			return true
		}
		x = send()
		return false
	})
	return x
}

// tableRows returns the table of TestCases, labelled.
func tableRows() []seamRow {
	var labelled []seamRow
	for _, c := range table() {
		labelled = append(labelled, seamRow{fmt.Sprint(c.number), c})
	}
	return labelled
}

// exchangeBy sends a request in a way of its own, and gathers what came of it.
func (b *bench) exchangeBy(t *testing.T, send sender, addr, raw, id string) exchange {
	t.Helper()
	before := b.backend.count()
	b.relay.forget()
	x := exchange{id: id, response: send(t, clientIP, addr, raw)}
	x.seen = b.backend.since(before)
	x.asked, x.askedLen = b.relay.asked()
	return x
}

// variant returns the bench with a proxy whose files are changed. Its requests have numbers of their own.
func (b *bench) variant(t *testing.T, changes ...literal) *bench {
	t.Helper()
	other := b.changed(t, append(changes, quick[b.name]...)...)
	b.next += 1000
	return other
}

// quick makes a proxy read its files at once: Traefik waits two seconds, which two dozen starts in a
// row cannot.
var quick = map[string][]literal{"traefik": {{"traefik.yaml", "providers:\n", "providers:\n  providersThrottleDuration: 10ms\n"}}}

// morePolicies are added to devicegate.yaml, for the cases about what a policy may allow.
const morePolicies = `  preflight: {cors_preflight: allow}
  stripped: {authorization: remove}
`

// startSeamBench is startBench without the odd tokens of TestCases, but with a token of a device that
// the gate has never seen, and with more policies.
func startSeamBench(t *testing.T, p product) *bench {
	t.Helper()
	needProgram(t, p.program)
	dir := gateDir(t)
	b := &bench{product: p, backend: startBackend(t)}
	b.odd = map[string]string{"unseen": unseenDevice(t, dir, p.example)}
	b.gate = startGateWith(t, dir, p.example, literal{"devicegate.yaml", "\ndevices:\n", "\n" + morePolicies + "\ndevices:\n"})
	b.relay = startRelay(t, b.gate.checks(p))
	b.addr = startProxy(t, p, b.backend.addr, b.relay.addr, b.gate.address["api"])
	b.gate.addUser(t, "bob", "staff")
	b.gate.addUser(t, "carol")
	b.alice, b.bob, b.carol = b.gate.signIn(t, "alice"), b.gate.signIn(t, "bob"), b.gate.signIn(t, "carol")
	return b
}

// startGateWith is startGate with texts of devicegate.yaml changed.
func startGateWith(t *testing.T, dir, example string, changes ...literal) *gate {
	t.Helper()
	g := &gate{dir: dir, config: filepath.Join(dir, "devicegate.yaml")}
	copyExample(t, example, "devicegate.yaml", dir, append(slices.Clone(gateLiterals), changes...))
	cmd := exec.Command(service, "serve", "--config", g.config)
	cmd.Dir = g.dir
	cmd.Env = append(cmd.Environ(), "DEVICEGATE_API_SIGN_IN_RATE=100000/1s")
	p := startProcess(t, cmd)
	g.log = p.log
	if !eventually(patience, func() bool { return g.ready() || !p.running() }) || !g.ready() {
		t.Fatalf("the gate did not get ready:\n%s", g.log)
	}
	return g
}

// unseenDevice makes the store in dir, with alice in it, and returns a token of hers for a device that
// was made in a copy of that store: key, issuer and user are right, and the device is not there.
func unseenDevice(t *testing.T, dir, example string) string {
	t.Helper()
	closed := &gate{dir: dir, config: filepath.Join(dir, "devicegate.yaml")}
	copyExample(t, example, "devicegate.yaml", dir, gateLiterals)
	closed.addUser(t, "alice", "editors")
	_, stop := openGate(t, dir, example, nil) // makes the signing key
	stop()
	elsewhere := gateDir(t)
	content, err := os.ReadFile(filepath.Join(dir, "devicegate.db"))
	if err == nil {
		err = os.WriteFile(filepath.Join(elsewhere, "devicegate.db"), content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	g, stop := openGate(t, elsewhere, example, nil)
	defer stop()
	return g.signIn(t, "alice").Access
}

// logsNoToken: of all tokens that were sent, not even the signature is in the gate's log.
func logsNoToken(t *testing.T, b *bench) {
	log := b.gate.log.String()
	if !strings.Contains(log, `"outcome"`) {
		t.Fatal("the log holds no check at all")
	}
	for _, token := range []string{b.alice.Access, b.bob.Access, b.carol.Access, b.odd["unseen"], b.alice.Refresh} {
		for _, part := range strings.Split(token, ".")[1:] {
			if strings.Contains(log, part) {
				t.Errorf("the gate logged a part of a token that starts with %.8s", part)
			}
		}
	}
}
