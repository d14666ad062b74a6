package place_test

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"devicegate/place"
)

var (
	berlin = place.Place{Country: "DE", Region: "Land Berlin", City: "Berlin"}
	oslo   = place.Place{Country: "NO", Region: "Oslo County", City: "Oslo"}

	// Public addresses: the documentation ones are special and never looked up.
	inBerlin = netip.MustParseAddr("81.2.69.142")
	inOslo   = netip.MustParseAddr("2a02:cf40::1")
	nowhere  = netip.MustParseAddr("9.9.9.9")
)

// clock is the time of a test, which stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// note is what the operator was told.
type note struct {
	msg string
	err error
}

func (n note) String() string {
	if n.err == nil {
		return n.msg
	}
	return n.msg + ": " + n.err.Error()
}

// mustOpen opens a Finder whose clock stands still and whose notes can be read.
func mustOpen(t *testing.T, o place.Options) (*place.Finder, *clock, <-chan note) {
	t.Helper()
	c, notes := newClock(), make(chan note, 1000)
	o.Now = c.Now
	o.Log = func(msg string, err error) { notes <- note{msg, err} }
	f, err := place.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f, c, notes
}

// must returns what comes out of c. A test that would wait forever is ended by the limit of go test.
func must[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	v, ok := <-c
	if !ok {
		t.Fatal("nothing comes any more")
	}
	return v
}

func wantPlace(t *testing.T, f *place.Finder, ip netip.Addr, want place.Place) {
	t.Helper()
	if got, ok := f.Find(ip); got != want || ok != want.Known() {
		t.Errorf("Find(%s) = %+v, %t, want %+v, %t", ip, got, ok, want, want.Known())
	}
}

// names is a name in two languages, of which only English is read.
func names(en string) mmdbtype.Map {
	return mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String(en), "de": mmdbtype.String("falsch")}}
}

// cityRecord is a record of p in the form of GeoLite2 City.
func cityRecord(p place.Place) mmdbtype.Map {
	r := countryRecord(p.Country)
	r["city"] = names(p.City)
	r["subdivisions"] = mmdbtype.Slice{names(p.Region), names("a part of it")}
	r["location"] = mmdbtype.Map{"latitude": mmdbtype.Float64(1.5), "accuracy_radius": mmdbtype.Uint16(20)}
	return r
}

func countryRecord(code string) mmdbtype.Map {
	country := names("the country")
	country["iso_code"] = mmdbtype.String(code)
	return mmdbtype.Map{"country": country, "registered_country": mmdbtype.Map{"iso_code": mmdbtype.String("US")}}
}

type networks map[string]mmdbtype.DataType

// cities is a small database of cities.
func cities() networks {
	return networks{"81.2.69.0/24": cityRecord(berlin), "2a02:cf40::/29": cityRecord(oslo)}
}

// mmdb returns the bytes of a database.
func mmdb(t testing.TB, o mmdbwriter.Options, content networks) []byte {
	t.Helper()
	if o.DatabaseType == "" {
		o.DatabaseType = "GeoLite2-City"
	}
	tree, err := mmdbwriter.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for network, value := range content {
		_, ipNet, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(ipNet, value); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "made.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := tree.WriteTo(file); err != nil {
		t.Fatal(err)
	}
	return mustRead(t, file.Name())
}

func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mustWrite writes a file in place: it keeps its inode.
func mustWrite(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func citiesFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cities.mmdb")
	mustWrite(t, path, mmdb(t, mmdbwriter.Options{}, cities()))
	return path
}

func TestNothingConfigured(t *testing.T) {
	f, err := place.Open(place.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wantPlace(t, f, inBerlin, place.Place{})
	f.Ask(inBerlin, func(p place.Place) { t.Errorf("called with %+v", p) })
	f.Reload()
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	f.Ask(inBerlin, func(p place.Place) { t.Errorf("called with %+v after Close", p) })
}

func TestKnown(t *testing.T) {
	for _, c := range []struct {
		p    place.Place
		want bool
	}{
		{place.Place{}, false},
		{place.Place{Country: "DE"}, true},
		{place.Place{City: "Berlin"}, true},
		{berlin, true},
	} {
		if got := c.p.Known(); got != c.want {
			t.Errorf("%+v.Known() = %t, want %t", c.p, got, c.want)
		}
	}
}
