package login

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"devicegate/device"
	"devicegate/reason"
)

// EndOther ends another device of the caller's user. Errors: *device.RuleError, device.ErrNotFound,
// *RefusedError, and the store's.
func (s *Service) EndOther(ctx context.Context, caller device.Subject, target uuid.UUID) error {
	err := s.Devices.EndOther(ctx, caller, target)
	if err == nil {
		s.journal.Ended(caller.User, target, device.RevokedByDevice)
	}
	return s.refusal(caller, err)
}

// EndOthers ends every other device of the caller's user that the caller may end, and returns how many
// that were and how many he may not. Errors: as EndOther, without device.ErrNotFound.
func (s *Service) EndOthers(ctx context.Context, caller device.Subject) (ended, kept int, err error) {
	ended, kept, err = s.Devices.EndOthers(ctx, caller, func(rec device.Record) {
		s.journal.Ended(caller.User, rec.UID, device.RevokeAll)
	})
	return ended, kept, s.refusal(caller, err)
}

// Change changes a device of the caller's user. Errors: as EndOther.
func (s *Service) Change(ctx context.Context, caller device.Subject, target uuid.UUID, change device.Change) (device.Record, error) {
	rec, err := s.Devices.Change(ctx, caller, target, change)
	return rec, s.refusal(caller, err)
}

// SweepDevices ends the devices of a user that were last used before cutoff, and returns how many those
// are; with dryRun it only counts.
func (s *Service) SweepDevices(ctx context.Context, user uuid.UUID, cutoff time.Time, dryRun bool) (int, error) {
	return s.Devices.Sweep(ctx, user, cutoff, dryRun, func(rec device.Record) {
		s.journal.Ended(user, rec.UID, device.Expired)
	})
}

// SetDisabled disables or enables an account. Disabling ends every device of the user, in one write;
// enabling brings none back.
func (s *Service) SetDisabled(ctx context.Context, user uuid.UUID, disabled bool) (User, error) {
	u, err := s.Users.SetDisabled(ctx, user, disabled)
	if err == nil && disabled {
		s.journal.Ended(user, uuid.UUID{}, device.InactiveAccount)
	}
	return u, err
}

// refusal says in the check's word why a caller is gone.
func (s *Service) refusal(caller device.Subject, err error) error {
	if !errors.Is(err, device.ErrCallerGone) {
		return err
	}
	use := device.Use{User: caller.User, Device: caller.Device, Generation: caller.Generation, At: s.now()}
	if _, why := s.Devices.Index.Peek(use); why != reason.OK {
		return &RefusedError{Reason: why}
	}
	return &RefusedError{Reason: reason.DeviceNotRecognized}
}
