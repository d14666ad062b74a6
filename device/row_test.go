package device_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"devicegate/device"
)

var (
	uids  = rapid.Map(rapid.SliceOfN(rapid.Byte(), 16, 16), func(b []byte) uuid.UUID { return uuid.UUID(b) })
	words = rapid.Map(rapid.IntRange(0, int(device.IPChanged)), func(n int) device.EndReason { return device.EndReason(n) })
	roles = rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9][a-z0-9._-]{0,63}`), 0, 32, rapid.ID)
)

func TestDeviceRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := device.DeviceRow{
			User: uids.Draw(t, "user"), Generation: rapid.Uint32().Draw(t, "generation"), Ordinal: rapid.Uint64().Draw(t, "ordinal"),
			Ended: words.Draw(t, "ended"), Created: rapid.Int64().Draw(t, "created"), Until: rapid.Int64().Draw(t, "until"), Tokens: rapid.Uint32().Draw(t, "tokens"), Foreign: rapid.Bool().Draw(t, "foreign"), Moved: rapid.Bool().Draw(t, "moved"),
		}
		got, err := device.DecodeDeviceRow(device.EncodeDeviceRow(want))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v, -want +got:\n%s", err, diff)
		}
	})
}

func TestUserRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := device.UserRow{
			Disabled: rapid.Bool().Draw(t, "disabled"), Generation: rapid.Uint32().Draw(t, "generation"), Ended: words.Draw(t, "ended"),
			EndedAt: time.UnixMilli(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "ended at")),
			Name:    rapid.StringN(0, 150, -1).Draw(t, "name"), Roles: roles.Draw(t, "roles"),
		}
		if len(want.Roles) == 0 {
			want.Roles = nil
		}
		got, err := device.DecodeUserRow(want.Encode())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%v, -want +got:\n%s", err, diff)
		}
	})
}

// The zero time, which a user who was never ended has, is one too.
func TestUserRowOfNobodyEnded(t *testing.T) {
	got, err := device.DecodeUserRow(device.UserRow{}.Encode())
	if err != nil || !got.EndedAt.IsZero() {
		t.Errorf("ended at %v, %v, want the zero time", got.EndedAt, err)
	}
}

var badRows = map[string][]byte{
	"empty":           {},
	"one byte":        {1},
	"zeroes":          make([]byte, 52),
	"another version": append([]byte{2}, make([]byte, 51)...),
	"JSON":            []byte(`{"schema":1}`),
	"long":            bytes.Repeat([]byte{1}, 100),
	"cut name":        append(device.UserRow{}.Encode()[:16], 0xff, 0xff, 'a'),
}

func TestBadRows(t *testing.T) {
	for name, b := range badRows {
		if r, err := device.DecodeDeviceRow(b); err == nil {
			t.Errorf("%s is the device row %+v, want an error", name, r)
		}
		if r, err := device.DecodeUserRow(b); err == nil {
			t.Errorf("%s is the user row %+v, want an error", name, r)
		}
	}
}

// Whatever stands in the store, decoding ends in a row that encodes to the same facts, or in an error.
func FuzzDecodeRows(f *testing.F) {
	for _, b := range badRows {
		f.Add(b)
	}
	f.Add(device.EncodeDeviceRow(device.DeviceRow{Ended: device.Replaced, Until: 1}))
	f.Add(device.UserRow{Name: "a", Roles: []string{"b", "c"}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := device.DecodeDeviceRow(b); err == nil {
			if again, err := device.DecodeDeviceRow(device.EncodeDeviceRow(r)); err != nil || again != r {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
		if r, err := device.DecodeUserRow(b); err == nil {
			if again, err := device.DecodeUserRow(r.Encode()); err != nil || !cmp.Equal(again, r) {
				t.Errorf("%+v became %+v, %v", r, again, err)
			}
		}
	})
}

// A record that this version does not know is refused with its key, never half read.
func TestBadRecords(t *testing.T) {
	for name, b := range map[string]string{
		"no JSON": "x", "no schema": "{}", "a newer schema": `{"schema":2}`, "a wrong type": `{"schema":1,"ordinal":"1"}`,
	} {
		if _, err := device.DecodeRecord("d/some/key", []byte(b)); err == nil || !strings.Contains(err.Error(), "d/some/key") {
			t.Errorf("%s: %v, want an error that names the record", name, err)
		}
	}
}

// The index of a million devices must cost the garbage collector nothing: no pointer in any slot.
func TestSlotsHoldNoPointers(t *testing.T) {
	for _, slot := range []any{device.DeviceSlot{}, device.UserSlot{}} {
		typ := reflect.TypeOf(slot)
		if path := pointerIn(typ); path != "" {
			t.Errorf("%s%s holds a pointer", typ.Name(), path)
		}
	}
	if pointerIn(reflect.TypeFor[struct{ A struct{ B [2]string } }]()) != ".A.B[] (string)" {
		t.Error("this test would not find one")
	}
}

// pointerIn returns the way to the first pointer in t, or nothing.
func pointerIn(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if path := pointerIn(t.Field(i).Type); path != "" {
				return "." + t.Field(i).Name + path
			}
		}
	case reflect.Array:
		if path := pointerIn(t.Elem()); path != "" {
			return "[]" + path
		}
	case reflect.String, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Interface, reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return " (" + t.String() + ")"
	}
	return ""
}
