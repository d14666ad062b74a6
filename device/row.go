package device

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"devicegate/db"
)

// Roots of the rows that feed the index.
const (
	deviceRows = db.WatchedPrefix + "d/"
	userRows   = db.WatchedPrefix + "u/"
)

const (
	rowVersion    = 1
	deviceRowSize = 1 + 1 + 1 + 1 + 4 + 16 + 8 + 8 + 8 + 4
	userRowHead   = 1 + 1 + 1 + 1 + 4 + 8 + 2
)

// deviceRow is one device as the index knows it.
type deviceRow struct {
	user       uuid.UUID
	generation uint32
	ordinal    uint64    // order of sign-in within the user; no two devices share one
	ended      EndReason // 0 while it lives
	created    int64     // Unix milliseconds
	until      int64     // Unix milliseconds: expiry while it lives, afterwards when the row may go
	tokens     uint32    // generation of the tokens that count; those of another have ended
	foreign    bool      // another issuer names it: its end is remembered for good
	moved      bool      // its refresh token was exchanged for ours: when its time runs out, that is its end as well
}

// UserRow is one user as the index knows him. The name is the stored one; Roles are in their stored
// order.
type UserRow struct {
	Disabled   bool
	Generation uint32    // devices of a lower generation have ended
	Ended      EndReason // why they did
	EndedAt    time.Time // when they did, to the millisecond
	Name       string
	Roles      []string
	// Foreign says that he is a user of another issuer: his name keeps nobody else out. Moved, that he has got tokens
	// of ours: from then on his name and roles are what stands here, whoever's token he shows.
	Foreign, Moved bool
}

func deviceRowKey(device uuid.UUID) string { return deviceRows + string(device[:]) }

// UserRowKey returns the key of a user's row.
func UserRowKey(user uuid.UUID) string { return userRows + string(user[:]) }

func (r deviceRow) encode() []byte {
	b := make([]byte, 0, deviceRowSize)
	b = append(b, rowVersion, byte(r.ended), flag(r.foreign)|flag(r.moved)<<1, 0)
	b = binary.BigEndian.AppendUint32(b, r.generation)
	b = append(b, r.user[:]...)
	b = binary.BigEndian.AppendUint64(b, r.ordinal)
	b = binary.BigEndian.AppendUint64(b, uint64(r.created))
	b = binary.BigEndian.AppendUint64(b, uint64(r.until))
	return binary.BigEndian.AppendUint32(b, r.tokens)
}

func decodeDeviceRow(b []byte) (deviceRow, error) {
	if len(b) != deviceRowSize || b[0] != rowVersion {
		return deviceRow{}, fmt.Errorf("a device row of %d bytes is not of a form that this version knows", len(b))
	}
	r := deviceRow{ended: EndReason(b[1]), foreign: b[2]&1 != 0, moved: b[2]&2 != 0, generation: binary.BigEndian.Uint32(b[4:])}
	copy(r.user[:], b[8:24])
	r.ordinal = binary.BigEndian.Uint64(b[24:])
	r.created = int64(binary.BigEndian.Uint64(b[32:]))
	r.until = int64(binary.BigEndian.Uint64(b[40:]))
	r.tokens = binary.BigEndian.Uint32(b[48:])
	return r, nil
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

// Encode returns the row's stored form.
func (r UserRow) Encode() []byte {
	b := make([]byte, 0, userRowHead+len(r.Name)+64)
	b = append(b, rowVersion, flag(r.Disabled), byte(r.Ended), flag(r.Foreign)|flag(r.Moved)<<1)
	b = binary.BigEndian.AppendUint32(b, r.Generation)
	b = binary.BigEndian.AppendUint64(b, uint64(r.EndedAt.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.Name)))
	b = append(b, r.Name...)
	return append(b, strings.Join(r.Roles, ",")...)
}

func decodeUserRow(b []byte) (UserRow, error) {
	if len(b) < userRowHead || b[0] != rowVersion {
		return UserRow{}, fmt.Errorf("a user row of %d bytes is not of a form that this version knows", len(b))
	}
	r := UserRow{
		Disabled:   b[1] != 0,
		Foreign:    b[3]&1 != 0,
		Moved:      b[3]&2 != 0,
		Ended:      EndReason(b[2]),
		Generation: binary.BigEndian.Uint32(b[4:]),
		EndedAt:    time.UnixMilli(int64(binary.BigEndian.Uint64(b[8:]))),
	}
	name, rest := int(binary.BigEndian.Uint16(b[16:])), b[userRowHead:]
	if name > len(rest) {
		return UserRow{}, fmt.Errorf("a user row is cut: its name of %d bytes does not fit", name)
	}
	r.Name = string(rest[:name])
	if len(rest) > name {
		r.Roles = strings.Split(string(rest[name:]), ",")
	}
	return r, nil
}
