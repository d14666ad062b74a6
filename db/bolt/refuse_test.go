package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"devicegate/db"
	"devicegate/db/bolt"
	"devicegate/db/dbtest"
)

// sample returns the bytes of a sound store with branch pages, overflowing values and free pages.
func sample(tb testing.TB) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "test.db")
	s := mustOpen(tb, path, bolt.Options{})
	for i := range 6 {
		var txn db.Txn
		for n := range db.MaxWrites {
			txn.Writes = append(txn.Writes, db.Put(fmt.Sprintf("k/%02d/%02d", i, n), bytes.Repeat([]byte{byte(n)}, 20*n)))
		}
		txn.Writes[0].Value = make([]byte, 10_000)
		dbtest.MustCommit(tb, s, txn)
	}
	if err := s.Close(); err != nil {
		tb.Fatalf("close: %v", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// layout is what a test needs to know of the file format.
type layout struct {
	pageSize, metaAt int // of the header in force
	pages            int
}

func layoutOf(b []byte) layout {
	order := binary.NativeEndian
	l := layout{pageSize: int(order.Uint32(b[16+8:]))}
	if order.Uint64(b[l.pageSize+16+48:]) > order.Uint64(b[16+48:]) {
		l.metaAt = l.pageSize
	}
	l.pages = int(order.Uint64(b[l.metaAt+16+40:]))
	return l
}

// with returns a changed copy of b.
func with(b []byte, change func(b []byte, l layout)) []byte {
	c := bytes.Clone(b)
	change(c, layoutOf(b))
	return c
}

// sign makes a changed header valid again.
func sign(b []byte, at int) {
	sum := fnv.New64a()
	_, _ = sum.Write(b[at+16 : at+16+56])
	binary.NativeEndian.PutUint64(b[at+16+56:], sum.Sum64())
}

// foreign returns the bytes of a bbolt file that fn has filled.
func foreign(tb testing.TB, fn func(tx *bbolt.Tx) error) []byte {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "foreign.db")
	b, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = errors.Join(b.Update(fn), b.Close())
	}
	if err != nil {
		tb.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

// ours returns a foreign file whose bucket meta holds these pairs.
func ours(tb testing.TB, pairs ...string) []byte {
	tb.Helper()
	return foreign(tb, func(tx *bbolt.Tx) error {
		kv, err1 := tx.CreateBucket([]byte("kv"))
		meta, err2 := tx.CreateBucket([]byte("meta"))
		err := errors.Join(err1, err2, kv.Put([]byte("k"), []byte("12345678v")))
		for i := 0; i < len(pairs); i += 2 {
			err = errors.Join(err, meta.Put([]byte(pairs[i]), []byte(pairs[i+1])))
		}
		return err
	})
}

type refusal struct {
	name    string
	content []byte
	want    error
}

func refusals(tb testing.TB) []refusal {
	sound := sample(tb)
	l := layoutOf(sound)
	one, id, zero := "\x00\x00\x00\x00\x00\x00\x00\x01", "0f4b5f0e-54a8-4bd4-8b5c-3c1cf0a9a1a4", strings.Repeat("\x00", 8)
	random := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random) // never fails
	spoilBoth := func(at int) []byte {
		return with(sound, func(b []byte, l layout) { b[at] ^= 1; b[l.pageSize+at] ^= 1 })
	}
	list := []refusal{
		{"empty", nil, bolt.ErrEmpty},
		{"one byte", []byte{0}, bolt.ErrNotOurs},
		{"text", []byte("store:\n  path: devicegate.db\n"), bolt.ErrNotOurs},
		{"zeros", make([]byte, 32768), bolt.ErrNotOurs},
		{"random bytes", random, bolt.ErrNotOurs},
		{"bbolt without buckets", foreign(tb, func(*bbolt.Tx) error { return nil }), bolt.ErrNotOurs},
		{"bbolt of others", foreign(tb, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("users")); return err }), bolt.ErrNotOurs},
		{"bucket meta of others", ours(tb, "format", "other"), bolt.ErrNotOurs},
		{"newer format", ours(tb, "format", "devicegate", "version", "\x00\x00\x00\x00\x00\x00\x00\x02"), bolt.ErrNewer},
		{"no version", ours(tb, "format", "devicegate"), bolt.ErrDamaged},
		{"no identity", ours(tb, "format", "devicegate", "version", one, "revision", zero), bolt.ErrDamaged},
		{"no revision", ours(tb, "format", "devicegate", "version", one, "identity", id), bolt.ErrDamaged},
		{"both headers spoilt", spoilBoth(16 + 60), bolt.ErrDamaged},
		{"both headers of a newer bbolt", with(sound, func(b []byte, l layout) {
			for _, at := range []int{0, l.pageSize} {
				b[at+16+4] = 3
				sign(b, at)
			}
		}), bolt.ErrNewer},
		{"header with pages of 3 bytes", with(sound, func(b []byte, l layout) {
			for _, at := range []int{0, l.pageSize} {
				binary.NativeEndian.PutUint32(b[at+16+8:], 3)
				sign(b, at)
			}
		}), bolt.ErrDamaged},
		{"header with endless pages", with(sound, func(b []byte, l layout) {
			binary.NativeEndian.PutUint64(b[l.metaAt+16+40:], 1<<60)
			sign(b, l.metaAt)
		}), bolt.ErrDamaged},
		{"a free page beyond the end", with(sound, func(b []byte, l layout) {
			free := b[l.pageSize*int(binary.NativeEndian.Uint64(b[l.metaAt+16+32:])):]
			binary.NativeEndian.PutUint64(free[16:], 1<<40)
		}), bolt.ErrDamaged},
		{"no list of free pages", with(sound, func(b []byte, l layout) {
			binary.NativeEndian.PutUint64(b[l.metaAt+16+32:], ^uint64(0))
			sign(b, l.metaAt)
		}), bolt.ErrNotOurs},
		{"list of free pages is another page", with(sound, func(b []byte, l layout) {
			copy(b[l.metaAt+16+32:], b[l.metaAt+16+16:l.metaAt+16+24])
			sign(b, l.metaAt)
		}), bolt.ErrDamaged},
	}
	for _, size := range []int{80, 100, l.pageSize, 2 * l.pageSize, l.pages * l.pageSize / 2, l.pages*l.pageSize - 1} {
		list = append(list, refusal{fmt.Sprint("cut to ", size), sound[:size], bolt.ErrDamaged})
	}
	return list
}

func TestRefusals(t *testing.T) {
	for _, c := range refusals(t) {
		t.Run(c.name, func(t *testing.T) {
			_ = bolt.Inspect(bytes.NewReader(c.content), int64(len(c.content))) // must not panic; Open would hide it
			dir := t.TempDir()
			path := filepath.Join(dir, "test.db")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := bolt.Open(path, bolt.Options{})
			if err == nil {
				_ = s.Close() // the test has failed anyway
				t.Fatal("it was opened")
			}
			wantSentence(t, err, path, c.want)
			after, readErr := os.ReadFile(path)
			if readErr != nil || !bytes.Equal(after, c.content) {
				t.Errorf("the file was changed: %v", readErr)
			}
			onlyFiles(t, dir, "test.db")
			if again, err := bolt.Open(path, bolt.Options{}); err == nil || errors.Is(err, bolt.ErrInUse) {
				t.Errorf("opened again: %v, %v, want the same refusal: the lock was kept", again, err)
			}
		})
	}
}

// wantSentence fails unless err is of the kind, one line, and names the file.
func wantSentence(t *testing.T, err error, path string, want error) {
	t.Helper()
	t.Log(err)
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	if text := fmt.Sprint(err); strings.ContainsAny(text, "\n\r") || !strings.Contains(text, path) || len(text) > 400 {
		t.Errorf("got %q, want one sentence that names %s", text, path)
	}
}

// Whatever page is spoilt in whatever way, the store is refused or lists every record that it held.
func TestEveryPageSpoilt(t *testing.T) {
	sound := sample(t)
	l := layoutOf(sound)
	want := records(t, sound)
	path := filepath.Join(t.TempDir(), "test.db")
	refused := 0
	for page := 2; page < l.pages; page++ {
		for name, spoil := range map[string]func(p []byte){
			"zeros":       func(p []byte) { clear(p) },
			"its number":  func(p []byte) { p[0] ^= 0x40 },
			"its kind":    func(p []byte) { p[8] ^= 0x03 },
			"no entries":  func(p []byte) { p[10], p[11] = 0, 0 },
			"many":        func(p []byte) { p[10], p[11] = 0xff, 0xfe },
			"overflow":    func(p []byte) { p[14] = 0x7f },
			"an entry":    func(p []byte) { copy(p[16:32], bytes.Repeat([]byte{0xee}, 16)) },
			"the last kB": func(p []byte) { clear(p[len(p)-1024:]) },
		} {
			spoilt := with(sound, func(b []byte, l layout) { spoil(b[page*l.pageSize : (page+1)*l.pageSize]) })
			if err := bolt.Inspect(bytes.NewReader(spoilt), int64(len(spoilt))); err != nil {
				refused++
				continue
			}
			got, err := tryOpen(t, path, spoilt)
			if err != nil && !errors.Is(err, bolt.ErrDamaged) && !errors.Is(err, bolt.ErrNotOurs) {
				t.Errorf("page %d, %s: %v", page, name, err)
			}
			if err == nil && name != "the last kB" && got != want {
				t.Errorf("page %d, %s: opened with other records than before", page, name)
			}
		}
	}
	t.Logf("%d changes of %d pages were refused by the inspection", refused, l.pages)
	if refused < l.pages {
		t.Errorf("only %d changes of %d pages were refused", refused, l.pages)
	}
}

// Pages that point in circles must not be followed for ever.
func TestCircle(t *testing.T) {
	spoilt := with(sample(t), func(b []byte, l layout) {
		order := binary.NativeEndian
		for page := 2; page < l.pages; page++ {
			if p := b[page*l.pageSize:]; order.Uint16(p[8:]) == 1 { // a branch: its first child is itself
				order.PutUint64(p[16+8:], uint64(page))
			}
		}
	})
	if _, err := tryOpen(t, filepath.Join(t.TempDir(), "test.db"), spoilt); !errors.Is(err, bolt.ErrDamaged) {
		t.Errorf("got %v, want %v", err, bolt.ErrDamaged)
	}
}

// With one header spoilt the store goes on from the other and says so.
func TestOneHeaderSpoilt(t *testing.T) {
	sound := sample(t)
	for _, at := range []int{0, layoutOf(sound).pageSize} {
		path := filepath.Join(t.TempDir(), "test.db")
		spoilt := with(sound, func(b []byte, _ layout) { clear(b[at : at+80]) })
		if err := os.WriteFile(path, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, path, bolt.Options{})
		if w := s.Warnings(); len(w) != 1 || !strings.Contains(w[0], "headers") {
			t.Errorf("warnings %q, want one about the headers", w)
		}
		dbtest.MustPut(t, s, "k", "v")
		dbtest.MustPut(t, s, "k", "v") // both headers are whole again
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if w := mustOpen(t, path, bolt.Options{}).Warnings(); len(w) != 0 {
			t.Errorf("warnings %q after two commits, want none", w)
		}
	}
}

// records returns a fingerprint of all records without the bytes of the values, which bbolt covers
// with no checksum.
func records(tb testing.TB, content []byte) string {
	tb.Helper()
	got, err := tryOpen(tb, filepath.Join(tb.TempDir(), "test.db"), content)
	if err != nil {
		tb.Fatalf("open: %v", err)
	}
	return got
}

// tryOpen opens these bytes as a store, reads all of it, writes and closes it.
func tryOpen(tb testing.TB, path string, content []byte) (fingerprint string, err error) {
	tb.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return "", err
	}
	defer func() { _ = s.Close() }() // it may be damaged
	sum := fnv.New64a()
	at, err := db.Each(tb.Context(), s, "", func(e db.Entry) error {
		_, _ = fmt.Fprintf(sum, "%q %d %d\n", e.Key, len(e.Value), e.Revision) // a hash never fails
		return nil
	})
	if err != nil {
		return "", err
	}
	_, err = s.Commit(tb.Context(), put("k", []byte("v")))
	return fmt.Sprintf("%d %x", at, sum.Sum64()), err
}

// No bytes make the inspection panic, nor, where it lets them pass, a listing or a commit.
func FuzzOpen(f *testing.F) {
	for _, c := range refusals(f) {
		if len(c.content) < 20_000 { // larger ones only slow the search down
			f.Add(c.content)
		}
	}
	f.Add(ours(f, "format", "devicegate", "version", "\x00\x00\x00\x00\x00\x00\x00\x01",
		"identity", "0f4b5f0e-54a8-4bd4-8b5c-3c1cf0a9a1a4", "revision", strings.Repeat("\x00", 8)))
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, at := range []int{0, 4096} { // past the checksums
			if len(content) >= at+80 {
				sign(content, at)
			}
		}
		err := bolt.Inspect(bytes.NewReader(content), int64(len(content)))
		if err == nil {
			_, err = tryOpen(t, filepath.Join(t.TempDir(), "test.db"), content)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
	})
}
