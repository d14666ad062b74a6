package device_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// manyDevices is small in a test run; docs/performance.md has what a million costs.
var manyDevices = flag.Int("devices", 20_000, "how many devices TestManyDevices starts with")

// What a device may cost beside its user, and a start.
const (
	devicesOfOne  = 5   // of one user
	indexPerMany  = 400 // bytes in memory for each device, its share of the user's included
	smallestIndex = 8 << 20
)

// TestManyDevices: S12. What a start on a large store takes, and what its index does; the log has the numbers.
func TestManyDevices(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	people := fillStore(t, path, *manyDevices)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	before := heapInUse()
	began := time.Now()
	store := mustOpen(t, path)
	opened := time.Since(began)
	g := follow(t, store, newClock())
	started := time.Since(began)
	used := heapInUse() - before
	defer func() { g.stop(); _ = store.Close() }()
	if n := g.index.Live(g.clock.Now()); n != *manyDevices {
		t.Fatalf("%d devices live, want %d", n, *manyDevices)
	}
	var took []time.Duration
	for range min(*manyDevices, 100_000) {
		user := rand.IntN(len(people.users))
		uid := people.devices[user*devicesOfOne+rand.IntN(devicesOfOne)]
		at := time.Now()
		_, why := g.index.Check(device.Use{User: people.users[user], Device: uid, At: g.clock.Now()})
		took = append(took, time.Since(at))
		if why != reason.OK {
			t.Fatalf("a check answers %v", why)
		}
	}
	slices.Sort(took)
	began = time.Now()
	if _, err := g.reg.Forget(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	swept := time.Since(began)
	runtime.KeepAlive(people)
	t.Logf("%d devices of %d users, %d MiB on disk: the store opened after %v, the index was full after %v and takes %d MiB; looking a device up takes %v (p99 %v), a look for what is over %v",
		*manyDevices, len(people.users), info.Size()>>20, opened.Round(time.Millisecond), started.Round(time.Millisecond), used>>20,
		took[len(took)/2], took[len(took)*99/100], swept.Round(time.Millisecond))
	if most := max(int64(*manyDevices)*indexPerMany, smallestIndex); used > most {
		t.Errorf("the index takes %d bytes, at most %d", used, most)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// people are who is in a store: the devices of a user are beside each other.
type people struct{ users, devices []uuid.UUID }

// fillStore writes what sign-ins of n devices leave: records and rows of devices and users, and the users' lists.
func fillStore(t *testing.T, path string, n int) (p people) {
	t.Helper()
	template := recordOf(t)
	store := mustOpen(t, path)
	defer func() {
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}()
	for range n / devicesOfOne {
		p.users = append(p.users, uuid.New())
		for range devicesOfOne {
			p.devices = append(p.devices, uuid.New())
		}
	}
	work := make(chan int)
	var writers sync.WaitGroup
	for range 64 {
		writers.Go(func() {
			for i := range work {
				if _, err := store.Commit(context.Background(), p.txn(i, template)); err != nil {
					t.Errorf("filling the store: %v", err)
				}
			}
		})
	}
	for i := range p.users {
		work <- i
	}
	close(work)
	writers.Wait()
	return p
}

// txn writes one user with all devices.
func (p *people) txn(i int, template string) db.Txn {
	user, now := p.users[i], newClock().Now()
	writes := []db.Write{
		db.Put(device.UserRowKey(user), device.UserRow{Name: fmt.Sprint("user ", i), Roles: []string{"staff"}, EndedAt: now}.Encode()),
		db.Put(device.ListKey(user), binary.BigEndian.AppendUint64(nil, devicesOfOne+1)),
	}
	for n, uid := range p.devices[i*devicesOfOne : (i+1)*devicesOfOne] {
		row := device.EncodeDeviceRow(device.DeviceRow{User: user, Ordinal: uint64(n + 1), Created: now.UnixMilli(), Until: now.Add(lifetime).UnixMilli()})
		writes = append(writes, db.Put(device.DeviceRowKey(uid), row), db.Put("d/"+user.String()+"/"+uid.String(), []byte(template)))
	}
	return db.Txn{Writes: writes}
}

// recordOf returns a device's record as a sign-in writes it.
func recordOf(t *testing.T) string {
	t.Helper()
	store := mustOpen(t, filepath.Join(t.TempDir(), "one.db"))
	g := follow(t, store, newClock())
	defer func() { g.stop(); _ = store.Close() }()
	g.add(t, g.user(t))
	var record strings.Builder
	if _, err := db.Each(t.Context(), store, "d/", func(e db.Entry) error { record.Write(e.Value); return nil }); err != nil || record.Len() < 100 {
		t.Fatalf("the record is %q, %v", record.String(), err)
	}
	return record.String()
}
