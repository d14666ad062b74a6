package token

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/google/uuid"
)

const (
	assertionShards = 64

	// A client chooses the host that it names. What one device makes up costs it its own assertions first: it has
	// hostsPerDevice of them at most, and fairHosts when memory is short.
	hostsPerDevice = 64
	fairHosts      = 4
	// signaturesPerDevice is how many assertions are made for a device within a minute. Each of as many hosts as
	// are kept needs two: a new one is made before the old one ends.
	signaturesPerDevice = 2 * hostsPerDevice

	// assertionCost is what an assertion takes in memory beside its text.
	assertionCost = 400

	lifetimeSeconds = int64(AssertionLifetime / time.Second)
	reserveSeconds  = int64(AssertionReserve / time.Second)
)

// assertion is one that was made, or is wanted: then without raw, and of now. It is not changed once it is kept.
type assertion struct {
	subject         Subject
	audience, keyID string
	issuedAt        int64 // unix seconds
	raw             string
}

// keep returns what is kept of a wanted assertion that was made. Its text is copied: a host name is a piece of all
// headers of a request, which would be kept whole.
func (a *assertion) keep(raw string) *assertion {
	kept := *a
	kept.raw, kept.audience, kept.subject.Username = raw, strings.Clone(a.audience), strings.Clone(a.subject.Username)
	kept.subject.Roles = slices.Clone(a.subject.Roles)
	return &kept
}

// serves says whether a may be handed out for what is wanted: everything in it is the same, and it is neither
// almost over nor, after a clock was set back, of the future.
func (a *assertion) serves(want *assertion) bool {
	age := want.issuedAt - a.issuedAt
	return age >= 0 && age <= lifetimeSeconds-reserveSeconds && a.audience == want.audience && a.keyID == want.keyID &&
		a.subject.User == want.subject.User && a.subject.Device == want.subject.Device && a.subject.Generation == want.subject.Generation &&
		a.subject.Username == want.subject.Username && slices.Equal(a.subject.Roles, want.subject.Roles)
}

// bytes is about what a takes in memory.
func (a *assertion) bytes() int {
	n := assertionCost + len(a.raw) + len(a.audience) + len(a.subject.Username)
	for _, role := range a.subject.Roles {
		n += len(role) + int(unsafe.Sizeof(role))
	}
	return n
}

// assertions keeps what was made, in a bounded amount of memory, by device.
type assertions struct {
	shards [assertionShards]assertionShard
}

type assertionShard struct {
	mu      sync.Mutex
	limit   int       // bytes
	bytes   int       // of all that is kept
	order   list.List // of *assertion: the oldest, which ends first, in front
	devices map[uuid.UUID]*deviceAssertions
}

// deviceAssertions is what one device has, and how much was made for it within a minute.
type deviceAssertions struct {
	kept  []*list.Element // the oldest first
	since int64           // when the minute began, unix seconds
	made  int
}

func newAssertions(size int) *assertions {
	a := &assertions{}
	for i := range a.shards {
		a.shards[i].limit, a.shards[i].devices = size/assertionShards, map[uuid.UUID]*deviceAssertions{}
	}
	return a
}

func (a *assertions) shard(device uuid.UUID) *assertionShard {
	return &a.shards[int(device[len(device)-1])%assertionShards] // random in every kind of device_uid
}

// find returns the text of one that serves, or "" and whether one more may be made for the device. The lock is held.
func (s *assertionShard) find(want *assertion) (raw string, more bool) {
	d := s.devices[want.subject.Device]
	if d == nil {
		return "", true
	}
	for _, e := range d.kept {
		if one := e.Value.(*assertion); one.serves(want) {
			return one.raw, true
		}
	}
	return "", d.made < signaturesPerDevice || d.over(want.issuedAt)
}

// put keeps one that was made, and drops what is over, what it replaces, and what there is no room for. The lock is
// held.
func (s *assertionShard) put(one *assertion) {
	for front := s.order.Front(); front != nil && over(front.Value.(*assertion), one.issuedAt); front = s.order.Front() {
		s.drop(front)
	}
	d := s.devices[one.subject.Device]
	if d == nil {
		d = &deviceAssertions{since: one.issuedAt}
		s.devices[one.subject.Device] = d
	}
	s.replace(d, one)
	d.count(one.issuedAt)
	d.kept = append(d.kept, s.order.PushBack(one))
	s.bytes += one.bytes()
	for s.bytes > s.limit {
		if len(d.kept) > fairHosts {
			s.drop(d.kept[0])
		} else {
			s.drop(s.order.Front())
		}
	}
}

// replace drops what the device has for the same host, or its oldest where it has as many as it may.
func (s *assertionShard) replace(d *deviceAssertions, by *assertion) {
	at := slices.IndexFunc(d.kept, func(e *list.Element) bool { return e.Value.(*assertion).audience == by.audience })
	if at < 0 && len(d.kept) == hostsPerDevice {
		at = 0
	}
	if at >= 0 {
		s.forget(d, at)
	}
}

// drop forgets one, and its device with its last.
func (s *assertionShard) drop(e *list.Element) {
	device := e.Value.(*assertion).subject.Device
	d := s.devices[device]
	s.forget(d, slices.Index(d.kept, e))
	if len(d.kept) == 0 {
		delete(s.devices, device)
	}
}

func (s *assertionShard) forget(d *deviceAssertions, at int) {
	e := d.kept[at]
	s.bytes -= e.Value.(*assertion).bytes()
	s.order.Remove(e)
	d.kept = slices.Delete(d.kept, at, at+1)
}

// over says whether an assertion is of no use to anybody any more.
func over(a *assertion, now int64) bool { return now-a.issuedAt >= lifetimeSeconds || now < a.issuedAt }

// over says whether the minute that made counts is: a clock that was set back begins another.
func (d *deviceAssertions) over(now int64) bool {
	return now-d.since >= lifetimeSeconds || now < d.since
}

func (d *deviceAssertions) count(now int64) {
	if d.over(now) {
		d.since, d.made = now, 0
	}
	d.made++
}
