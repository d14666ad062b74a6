package device

import (
	"context"
	"time"

	"github.com/google/uuid"

	"devicegate/reason"
)

// What the index keeps for each device and user, for the test of its layout.
type (
	DeviceSlot = deviceSlot
	UserSlot   = userSlot
)

// DeviceRow is a device's row with names that a test can fill in.
type DeviceRow struct {
	User           uuid.UUID
	Generation     uint32
	Ordinal        uint64
	Ended          EndReason
	Created, Until int64
	Tokens         uint32
	Foreign, Moved bool
}

// EncodeDeviceRow returns the stored form.
func EncodeDeviceRow(r DeviceRow) []byte {
	return deviceRow{r.User, r.Generation, r.Ordinal, r.Ended, r.Created, r.Until, r.Tokens, r.Foreign, r.Moved}.encode()
}

// DecodeDeviceRow is the parser of stored rows.
func DecodeDeviceRow(b []byte) (DeviceRow, error) {
	r, err := decodeDeviceRow(b)
	return DeviceRow{r.user, r.generation, r.ordinal, r.ended, r.created, r.until, r.tokens, r.foreign, r.moved}, err
}

// DecodeUserRow is the parser of stored rows.
func DecodeUserRow(b []byte) (UserRow, error) { return decodeUserRow(b) }

// DecodeRecord is the parser of stored records.
func DecodeRecord(key string, b []byte) (Record, error) { return decodeRecord(key, b) }

// DeviceRowKey returns the key of a device's row.
func DeviceRowKey(uid uuid.UUID) string { return deviceRowKey(uid) }

// EndsPerTxn is how many devices one transaction ends at most.
const EndsPerTxn = endsPerTxn

// Slots returns how many slots the index has made room for.
func (x *Index) Slots() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.slots)
}

// Known is all that the index knows, in a form that does not depend on where it lies.
type Known struct {
	Devices map[uuid.UUID]DeviceRow
	Users   map[uuid.UUID]UserRow
}

// Known returns a copy of what the index knows.
func (x *Index) Known() Known {
	x.mu.RLock()
	defer x.mu.RUnlock()
	k := Known{map[uuid.UUID]DeviceRow{}, map[uuid.UUID]UserRow{}}
	for uid, at := range x.devices {
		r := x.slots[at].deviceRow
		k.Devices[uid] = DeviceRow{r.user, r.generation, r.ordinal, r.ended, r.created, r.until, r.tokens, r.foreign, r.moved}
	}
	for id, u := range x.users {
		k.Users[id] = UserRow{
			Disabled: u.disabled, Generation: u.generation, Ended: u.ended, EndedAt: time.UnixMilli(u.endedAt),
			Name: x.names.get(u.name), Roles: x.roles.get(u.roles),
		}
	}
	return k
}

// Settled waits until x does not answer any more, or ctx ends.
func Settled(ctx context.Context, x *Index) {
	for {
		x.mu.RLock()
		moved, why := x.moved, x.State()
		x.mu.RUnlock()
		if why != reason.OK {
			return
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return
		}
	}
}

// DecodeSighting is the parser of flushed sightings; ok is false for what is none.
func DecodeSighting(b []byte) (again []byte, ok bool) {
	s, err := decodeSighting(b)
	return s.encode(), err == nil
}

// SightingKey returns the key of a device's flushed sighting.
func SightingKey(uid uuid.UUID) string { return sightingKey(uid) }

// Noted returns how many sightings are not flushed yet.
func (x *Index) Noted() (n int) {
	for i := range x.sightings.shards {
		shard := &x.sightings.shards[i]
		shard.mu.Lock()
		n += len(shard.last)
		shard.mu.Unlock()
	}
	return n
}

// Words is how rules write a duration.
func Words(d time.Duration) string { return words(d) }

// ListKey is listKey.
func ListKey(user uuid.UUID) string { return listKey(user) }
