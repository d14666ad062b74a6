package login

import (
	"context"

	"github.com/google/uuid"

	"devicegate/device"
)

// EndOther ends another device of the caller's user. Errors: device.ErrSelf for the caller's own device,
// device.ErrNotFound, and the store's.
func (s *Service) EndOther(ctx context.Context, caller device.Subject, target uuid.UUID) error {
	if target == caller.Device {
		return device.ErrSelf
	}
	return s.end(ctx, caller.User, target, device.RevokedByDevice)
}

// EndOthers ends every device of the caller's user but the caller's own, and returns how many that were.
func (s *Service) EndOthers(ctx context.Context, caller device.Subject) (int, error) {
	return s.Devices.EndWhere(ctx, caller.User, device.RevokeAll, func(rec device.Record) bool {
		return rec.UID != caller.Device
	}, func(rec device.Record) { s.journal.Ended(caller.User, rec.UID, device.RevokeAll) })
}

// Rename changes the name of a device of the caller's user; one's own can always be changed.
func (s *Service) Rename(ctx context.Context, caller device.Subject, target uuid.UUID, name string) (device.Record, error) {
	return s.Devices.Update(ctx, caller.User, target, func(rec *device.Record) error {
		rec.Name = name
		return nil
	})
}
