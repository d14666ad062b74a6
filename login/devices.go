package login

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/reason"
)

// byDevice is a device that acts, on its own wish.
func byDevice(caller uuid.UUID, client Client) activity.By {
	return activity.By{Actor: activity.ByDevice(caller), IP: client.IP, UserAgent: client.UserAgent}
}

// EndOther ends another device of the caller's user. Errors: *device.RuleError, device.ErrNotFound,
// *RefusedError, and the store's.
func (s *Service) EndOther(ctx context.Context, caller device.Subject, target uuid.UUID, client Client) error {
	return s.refusal(caller, s.Devices.EndOther(ctx, caller, target, byDevice(caller.Device, client)))
}

// EndOthers ends every other device of the caller's user that the caller may end, and returns how many
// that were and how many he may not. Errors: as EndOther, without device.ErrNotFound.
func (s *Service) EndOthers(ctx context.Context, caller device.Subject, client Client) (ended, kept int, err error) {
	ended, kept, err = s.Devices.EndOthers(ctx, caller, byDevice(caller.Device, client))
	return ended, kept, s.refusal(caller, err)
}

// Change changes a device of the caller's user. Errors: as EndOther.
func (s *Service) Change(ctx context.Context, caller device.Subject, target uuid.UUID, change device.Change) (device.Record, error) {
	rec, err := s.Devices.Change(ctx, caller, target, change)
	return rec, s.refusal(caller, err)
}

// SweepDevices ends the devices of a user that were last used before cutoff, and returns how many those
// are, all but the device but; with dryRun it only counts.
func (s *Service) SweepDevices(ctx context.Context, by activity.By, user uuid.UUID, cutoff time.Time, but uuid.UUID, dryRun bool) (int, error) {
	return s.Devices.Sweep(ctx, user, cutoff, but, dryRun, by)
}

// EndDevice ends one device of user for an admin. Errors: device.ErrNotFound, and the store's.
func (s *Service) EndDevice(ctx context.Context, by activity.By, user, dev uuid.UUID) error {
	return s.Devices.End(ctx, user, dev, device.Cause{Why: device.RevokedByAdmin, By: by})
}

// EndAll ends all devices of user for an admin, in one write, and returns how many that were. Errors:
// ErrNoUser, and the store's.
func (s *Service) EndAll(ctx context.Context, by activity.By, user uuid.UUID) (ended int, err error) {
	cause := device.Cause{Why: device.RevokedByAdmin, By: by}
	_, err = s.Users.change(ctx, user, func(u *User) (db.Txn, []activity.Event, error) {
		u.raise(cause.Why, s.Users.now())
		return db.Txn{}, nil, nil
	}, func(_ User, txn db.Txn, _ []activity.Event) (err error) {
		ended, err = s.Devices.EndAll(ctx, user, txn, cause)
		return err
	})
	return ended, err
}

// ChangeDevice changes a device of user for an admin: the way back for somebody whose devices have all lost
// their rights. Errors: device.ErrNotFound, and the store's.
func (s *Service) ChangeDevice(ctx context.Context, by activity.By, user, dev uuid.UUID, change device.Change) (device.Record, error) {
	e := by.Event(activity.Admin, DeviceChanged)
	e.User, e.Device = user, dev
	return s.Devices.Override(ctx, user, dev, change, e)
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
