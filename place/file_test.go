package place_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"devicegate/place"
)

func TestFile(t *testing.T) {
	long := strings.Repeat("ü", 200)
	for _, c := range []struct {
		name    string
		options mmdbwriter.Options
		content networks
		want    place.Place // of inBerlin
	}{
		{"a city", mmdbwriter.Options{}, cities(), berlin},
		{"24 bits", mmdbwriter.Options{RecordSize: 24}, cities(), berlin},
		{"32 bits", mmdbwriter.Options{RecordSize: 32}, cities(), berlin},
		{"countries only", mmdbwriter.Options{DatabaseType: "GeoLite2-Country"},
			networks{"81.2.69.0/24": countryRecord("DE")}, place.Place{Country: "DE"}},
		{"IPv4 only", mmdbwriter.Options{IPVersion: 4}, networks{"81.2.69.0/24": cityRecord(berlin)}, berlin},
		{"IPv6 only", mmdbwriter.Options{}, networks{"2a02:cf40::/29": cityRecord(oslo)}, place.Place{}},
		{"an empty record", mmdbwriter.Options{},
			networks{"81.2.69.0/24": mmdbtype.Map{}, "2a02:cf40::/29": cityRecord(oslo)}, place.Place{}},
		{"registered_country alone is no place", mmdbwriter.Options{}, networks{
			"81.2.69.0/24":   mmdbtype.Map{"registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")}},
			"2a02:cf40::/29": cityRecord(oslo)}, place.Place{}},
		{"no country, but a city", mmdbwriter.Options{}, networks{
			"81.2.69.0/24": mmdbtype.Map{"city": names("Berlin")}, "2a02:cf40::/29": cityRecord(oslo)},
			place.Place{City: "Berlin"}},
		{"hostile text", mmdbwriter.Options{}, networks{"81.2.69.0/24": cityRecord(place.Place{
			Country: "de", Region: " a\x1b[31m\nb\u202e ", City: long})},
			place.Place{Country: "DE", Region: "a\uFFFD[31m\uFFFDb\uFFFD", City: long[:100]}},
		{"no country's code", mmdbwriter.Options{}, networks{
			"81.2.69.0/24": countryRecord("DEU"), "2a02:cf40::/29": cityRecord(oslo)}, place.Place{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f.mmdb")
			mustWrite(t, path, mmdb(t, c.options, c.content))
			f, _, notes := mustOpen(t, place.Options{MMDBFile: path})
			wantPlace(t, f, inBerlin, c.want)
			wantPlace(t, f, nowhere, place.Place{})
			if _, ok := c.content["2a02:cf40::/29"]; ok {
				wantPlace(t, f, inOslo, oslo)
			} else {
				wantPlace(t, f, inOslo, place.Place{})
			}
			if len(notes) > 0 {
				t.Errorf("noted %s", <-notes)
			}
		})
	}
}

// tangled is a database whose search tree has 2^ways ways through it.
func tangled(t testing.TB, ways int) []byte {
	data := mmdb(t, mmdbwriter.Options{RecordSize: 24}, networks{"2a02:cf40::1/128": cityRecord(oslo)})
	const size = 6 // bytes of a node
	for i := range ways {
		next := byte(i + 1)
		copy(data[i*size:], []byte{0, 0, next, 0, 0, next})
	}
	return data
}

// badFiles are what is no database of places.
func badFiles(t *testing.T) map[string][]byte {
	whole := mmdb(t, mmdbwriter.Options{}, cities())
	networkNames := networks{"81.2.69.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64496)}}
	return map[string][]byte{
		"empty":         {},
		"foreign":       []byte(strings.Repeat("PK\x03\x04 not what you think\n", 500)),
		"cut off":       whole[:len(whole)/2],
		"cut in front":  whole[len(whole)/3:],
		"only a marker": []byte("\xab\xcd\xefMaxMind.com"),
		"other facts":   mmdb(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"}, networkNames),
		"a record of another form": mmdb(t, mmdbwriter.Options{}, networks{
			"81.2.69.0/24": cityRecord(berlin), "2a02:cf40::/29": mmdbtype.Map{"city": mmdbtype.String("Oslo")}}),
		"nothing in it":            mmdb(t, mmdbwriter.Options{}, nil),
		"another schema":           mmdb(t, mmdbwriter.Options{}, networks{"81.2.69.0/24": mmdbtype.Map{"country": mmdbtype.String("DE")}}),
		"a tangled tree":           tangled(t, 110),
		"tangled in front of IPv4": tangled(t, 96),
		"hole in the data": func() []byte {
			b := []byte(string(whole))
			i := strings.Index(string(b), "iso_code")
			clear(b[i-40 : i])
			return b
		}(),
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{"missing": filepath.Join(dir, "missing"), "folder": dir, "pipe": pipe}
	for name, data := range badFiles(t) {
		paths[name] = filepath.Join(dir, name)
		mustWrite(t, paths[name], data)
	}
	for name, path := range paths {
		f, err := place.Open(place.Options{MMDBFile: path})
		if !errors.Is(err, place.ErrFile) {
			t.Errorf("%s: Open = %v, %v, want ErrFile", name, f, err)
			continue
		}
		for _, part := range []string{"geo.mmdb_file", path, "leave it empty"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: the error says nothing of %q: %v", name, part, err)
			}
		}
		if name == "missing" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("missing: %v does not wrap fs.ErrNotExist", err)
		}
	}
}

func TestHugeFileIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "huge")
	mustWrite(t, path, nil)
	if err := os.Truncate(path, 1<<40); err != nil { // has no blocks
		t.Fatal(err)
	}
	if _, err := place.Open(place.Options{MMDBFile: path}); !errors.Is(err, place.ErrFile) {
		t.Errorf("Open = %v, want ErrFile", err)
	}
}

// changing is a file that another process writes while it is read.
type changing struct {
	fs.File
	path string
}

func (c changing) Read(b []byte) (int, error) {
	n, err := c.File.Read(b)
	if err == nil {
		err = os.Chtimes(c.path, time.Unix(1, 0), time.Unix(1, 0))
	}
	return n, err
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	path := citiesFile(t)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, err := place.Whole(changing{f, path}); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("error %v", err)
	}
}

func TestDecoderThatPanics(t *testing.T) {
	if err := place.FindInNothing(); err == nil {
		t.Error("no error")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(mmdb(f, mmdbwriter.Options{}, cities()))
	f.Add(mmdb(f, mmdbwriter.Options{RecordSize: 24, IPVersion: 4}, networks{"81.0.0.0/8": countryRecord("DE")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, ip := range []netip.Addr{inBerlin, inOslo, nowhere} {
			p, err := place.ParseAndFind(data, ip)
			if err != nil && strings.Contains(err.Error(), "gave up") {
				t.Errorf("the decoder panics: %v", err)
			}
			if len(p.City) > 100 || len(p.Region) > 100 || len(p.Country) > 2 {
				t.Errorf("%+v", p)
			}
		}
	})
}

func TestReload(t *testing.T) {
	path := citiesFile(t)
	f, _, notes := mustOpen(t, place.Options{MMDBFile: path})
	f.Reload()
	if len(notes) > 0 {
		t.Errorf("an unchanged file: %s", <-notes)
	}
	moved := networks{"81.2.69.0/24": cityRecord(oslo)}
	next := path + ".new"
	mustWrite(t, next, mmdb(t, mmdbwriter.Options{}, moved))
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
	wantPlace(t, f, inBerlin, berlin)
	f.Reload()
	wantPlace(t, f, inBerlin, oslo)
	if n := must(t, notes); n.err != nil {
		t.Errorf("noted %s", n)
	}
	mustWrite(t, path, mmdb(t, mmdbwriter.Options{}, cities()))
	f.Reload()
	wantPlace(t, f, inBerlin, berlin)
}

// TestReloadSeesEachChange keeps two of inode, size and time and changes the third.
func TestReloadSeesEachChange(t *testing.T) {
	now := mmdb(t, mmdbwriter.Options{BuildEpoch: 1}, networks{"81.2.69.0/24": countryRecord("DE")})
	then := mmdb(t, mmdbwriter.Options{BuildEpoch: 1}, networks{"81.2.69.0/24": countryRecord("NO")})
	bigger := append([]byte(strings.Clone(string(then))), 0)
	if len(now) != len(then) {
		t.Fatalf("%d and %d bytes", len(now), len(then))
	}
	at := time.Unix(1_900_000_000, 0)
	for _, c := range []struct {
		name   string
		data   []byte
		at     time.Time
		rename bool
	}{
		{"the time", then, at.Add(time.Nanosecond), false},
		{"the size", bigger, at, false},
		{"the inode", then, at, true},
	} {
		path := filepath.Join(t.TempDir(), "f.mmdb")
		mustWrite(t, path, now)
		mustChtimes(t, path, at)
		f, _, _ := mustOpen(t, place.Options{MMDBFile: path})
		to := path
		if c.rename {
			to += ".new"
		}
		mustWrite(t, to, c.data)
		mustChtimes(t, to, c.at)
		if c.rename {
			if err := os.Rename(to, path); err != nil {
				t.Fatal(err)
			}
		}
		f.Reload()
		if p, _ := f.Find(inBerlin); p.Country != "NO" {
			t.Errorf("%s changed and Reload did not see it", c.name)
		}
	}
}

func mustChtimes(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func TestReloadKeepsTheLastGoodOne(t *testing.T) {
	whole := mmdb(t, mmdbwriter.Options{}, cities())
	path := filepath.Join(t.TempDir(), "f.mmdb")
	mustWrite(t, path, whole)
	f, c, notes := mustOpen(t, place.Options{MMDBFile: path})
	for name, data := range badFiles(t) {
		c.Move(time.Minute)
		mustWrite(t, path, data)
		f.Reload()
		wantPlace(t, f, inBerlin, berlin)
		if n := must(t, notes); n.err == nil || !strings.Contains(n.err.Error(), path) {
			t.Errorf("%s: noted %s", name, n)
		}
		f.Reload() // within the minute
		if len(notes) > 0 {
			t.Errorf("%s: noted again: %s", name, <-notes)
		}
		c.Move(time.Minute)
		f.Reload() // the same bad file: still worth a word
		must(t, notes)
	}
	c.Move(time.Minute)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	f.Reload()
	wantPlace(t, f, inBerlin, berlin)
	if n := must(t, notes); !errors.Is(n.err, fs.ErrNotExist) {
		t.Errorf("missing: noted %s", n)
	}
	mustWrite(t, path, whole)
	f.Reload()
	if n := must(t, notes); n.err != nil {
		t.Errorf("good again: noted %s", n)
	}
}

// TestOverwrittenInPlace truncates and overwrites the file while it is read. Were it mapped, the process would end
// with SIGBUS, or Find would read the other bytes.
func TestOverwrittenInPlace(t *testing.T) {
	content := cities()
	for i := range 200 { // some pages long
		content[fmt.Sprintf("20.%d.0.0/16", i)] = cityRecord(place.Place{Country: "NO", City: strings.Repeat("x", i)})
	}
	path := filepath.Join(t.TempDir(), "f.mmdb")
	whole := mmdb(t, mmdbwriter.Options{}, content)
	mustWrite(t, path, whole)
	f, _, _ := mustOpen(t, place.Options{MMDBFile: path})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					wantPlace(t, f, inBerlin, berlin)
				}
			}
		})
	}
	for range 5 {
		for _, data := range [][]byte{nil, make([]byte, len(whole)), whole[:len(whole)/2], whole} {
			mustWrite(t, path, data)
			wantPlace(t, f, inBerlin, berlin)
			wantPlace(t, f, inOslo, oslo)
			f.Reload()
		}
	}
	close(stop)
	readers.Wait()
}

// TestFlippedBits damages each byte in turn. Either the file is refused, or what it says is well-formed; nothing
// panics and nothing runs forever.
func TestFlippedBits(t *testing.T) {
	whole := mmdb(t, mmdbwriter.Options{RecordSize: 24}, networks{
		"81.0.0.0/10": cityRecord(berlin), "2a02::/16": cityRecord(oslo)})
	path := filepath.Join(t.TempDir(), "f.mmdb")
	refused := 0
	for i := range whole {
		for _, flip := range []byte{0x01, 0xFF} {
			data := []byte(string(whole))
			data[i] ^= flip
			mustWrite(t, path, data)
			f, err := place.Open(place.Options{MMDBFile: path})
			if err != nil {
				refused++
				continue
			}
			for _, c := range addresses {
				p, ok := f.Find(netip.MustParseAddr(c.ip))
				if ok && !c.public || len(p.Country) != 0 && len(p.Country) != 2 || len(p.City) > 100 || len(p.Region) > 100 {
					t.Errorf("byte %d ^ %#x: Find(%s) = %+v, %t", i, flip, c.ip, p, ok)
				}
			}
			f.Close()
		}
	}
	if refused == 0 {
		t.Error("no damage was seen")
	}
}

func TestRunReloads(t *testing.T) {
	path := citiesFile(t)
	tick := make(chan time.Time)
	f, _, notes := mustOpen(t, place.Options{MMDBFile: path, Tick: tick})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		f.Run(ctx)
		close(done)
	}()
	mustWrite(t, path, mmdb(t, mmdbwriter.Options{}, networks{"81.2.69.0/24": cityRecord(oslo)}))
	tick <- time.Time{}
	if n := must(t, notes); n.err != nil {
		t.Errorf("noted %s", n)
	}
	wantPlace(t, f, inBerlin, oslo)
	cancel()
	<-done
}

func TestRunEndsWithClose(t *testing.T) {
	f, _, _ := mustOpen(t, place.Options{})
	done := make(chan struct{})
	go func() {
		f.Run(context.Background())
		close(done)
	}()
	f.Close()
	<-done
}
