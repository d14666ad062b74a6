package login

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
)

// AdminRole is the role of a user who may administrate with his token.
const AdminRole = "admin"

// What admins do to accounts, as events say it.
const (
	UserCreated   = "user_created"
	UserDeleted   = "user_deleted"
	UserDisabled  = "user_disabled"
	UserEnabled   = "user_enabled"
	RolesChanged  = "roles_changed"
	ResetStarted  = "password_reset"
	DeviceChanged = "device_changed"
	LockoutEnded  = "lockout_cleared"
)

// ErrForeignRoles means: the roles of a user of another issuer come with his tokens, until he has got some of ours.
var ErrForeignRoles = errors.New("the roles of the user are his issuer's")

// ErrLastAdmin means: the acting admin is the last enabled one, and would not be one any more.
var ErrLastAdmin = errors.New("the last enabled admin cannot remove himself")

// event returns the event of an act on the account.
func (u User) event(by activity.By, reason string) activity.Event {
	e := by.Event(activity.Admin, reason)
	e.User, e.NameTried = u.ID, u.Name
	return e
}

// Update is what an admin changes of an account; nil leaves a member as it is. Password was checked by the
// caller.
type Update struct {
	Roles    *[]string
	Disabled *bool
	Password *string
}

// UpdateUser changes an account, all of it in one transaction, and it counts at once. Disabling and a new
// password end all devices; enabling brings none back. Where new roles lower the user's limit, the surplus
// ends, least recent first. Errors: *InvalidError, ErrNoUser, ErrLastAdmin, ErrBusy, and the store's.
func (s *Service) UpdateUser(ctx context.Context, by activity.By, user uuid.UUID, update Update) (User, error) {
	change := accountChange{by: by, disabled: update.Disabled}
	if update.Roles != nil {
		roles, err := checkRoles(*update.Roles)
		if err != nil {
			return User{}, err
		}
		change.roles = &roles
	}
	if update.Password != nil {
		if _, err := s.Users.ByID(ctx, user); err != nil {
			return User{}, err // before a hash is computed for nobody
		}
		hash, err := s.hash(ctx, *update.Password)
		if err != nil {
			return User{}, err
		}
		change.hash = &hash
	}
	var generation uint32
	u, err := s.Users.change(ctx, user, func(u *User) (db.Txn, []activity.Event, error) {
		generation = u.Generation
		return s.edit(ctx, u, change)
	}, func(u User, txn db.Txn, events []activity.Event) error {
		switch {
		case u.Generation != generation:
			return s.Devices.EndWith(ctx, user, txn, device.Cause{Why: u.Ended, By: by}, events...)
		case change.roles != nil:
			return s.Devices.Trim(ctx, user, s.config.Limits.For(u.Roles), txn, by, events...)
		}
		return s.Users.commit(ctx)(u, txn, events)
	})
	if err == nil && change.hash != nil {
		s.forgetFailures(ctx, u.Name)
	}
	return u, err
}

// accountChange is an Update that was checked.
type accountChange struct {
	by       activity.By
	roles    *[]string
	disabled *bool
	hash     *string
}

// edit makes the change and names its events.
func (s *Service) edit(ctx context.Context, u *User, c accountChange) (txn db.Txn, events []activity.Event, err error) {
	before := *u
	if c.roles != nil && u.Issuer != "" && u.MovedAt.IsZero() && u.PasswordHash == "" {
		return txn, nil, ErrForeignRoles
	}
	if c.roles != nil {
		u.Roles = *c.roles
		if err := checkIdentity(u.Name, u.Roles, s.Users.EncodeHeader); err != nil {
			return txn, nil, err
		}
		if !slices.Equal(before.Roles, u.Roles) {
			events = append(events, u.event(c.by, RolesChanged))
		}
	}
	if c.hash != nil {
		u.PasswordHash = *c.hash
		u.raise(device.PasswordChanged, s.Users.now())
		txn.Writes = append(txn.Writes, dropReset(u.ID))
		events = append(events, passwordEvent(u.ID, c.by))
	}
	if c.disabled != nil && *c.disabled != u.Disabled {
		events = append(events, s.toggle(u, *c.disabled, c.by))
	}
	if before.enabledAdmin() && !u.enabledAdmin() {
		txn.If, err = s.Users.otherAdmin(ctx, before, c.by)
	}
	return txn, events, err
}

// toggle disables or enables the account.
func (s *Service) toggle(u *User, disabled bool, by activity.By) activity.Event {
	u.Disabled = disabled
	if !disabled {
		return u.event(by, UserEnabled)
	}
	u.raise(device.InactiveAccount, s.Users.now())
	return u.event(by, UserDisabled)
}

// otherAdmin returns the condition that another enabled admin stays, where an admin is about to remove
// himself, or ErrLastAdmin. Whoever may open the admin socket needs no account, and is not held.
func (us *Users) otherAdmin(ctx context.Context, u User, by activity.By) ([]db.Condition, error) {
	if by.Actor != activity.ByAdmin(u.Name) {
		return nil, nil
	}
	admins, _, err := us.Store.Range(ctx, adminPrefix, db.PrefixEnd(adminPrefix), 2)
	if err != nil {
		return nil, err
	}
	for _, other := range admins {
		if other.Key != adminKey(u.ID) {
			return []db.Condition{db.Unchanged(other)}, nil
		}
	}
	return nil, ErrLastAdmin
}

// DeleteUser removes an account, and ends all its devices in the same write. What is left of the devices
// goes with the housekeeping; the history stays for its time. Errors: ErrNoUser, ErrLastAdmin, and the store's.
func (s *Service) DeleteUser(ctx context.Context, by activity.By, user uuid.UUID) error {
	for range maxRetries {
		err := s.remove(ctx, by, user)
		if !errors.Is(err, db.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

func (s *Service) remove(ctx context.Context, by activity.By, user uuid.UUID) error {
	u, e, err := s.Users.byID(ctx, user)
	if err != nil {
		return err
	}
	conditions := []db.Condition{db.Unchanged(e)}
	if u.enabledAdmin() {
		other, err := s.Users.otherAdmin(ctx, u, by)
		if err != nil {
			return err
		}
		conditions = append(conditions, other...)
	}
	names, err := s.Users.dropNames(ctx, u)
	if err != nil {
		return err
	}
	err = s.Devices.Drop(ctx, user, db.Txn{If: conditions, Writes: append(names, []db.Write{
		db.Delete(e.Key), db.Delete(device.UserRowKey(user)), db.Delete(adminKey(user)),
		db.Delete(resetKey(user)), db.Delete(whereaboutsKey(user)),
	}...)}, device.Cause{Why: device.RevokedByAdmin, By: by}, u.event(by, UserDeleted))
	if err == nil && u.Issuer != "" {
		if err := s.Devices.Bury(ctx, user); err != nil { // the sweep will
			s.lost("marking the devices of a user who was removed", err)
		}
	}
	return err
}

// CreateUser makes an account. What was guessed at the name while nobody had it is forgotten. Errors: as
// Users.Create.
func (s *Service) CreateUser(ctx context.Context, by activity.By, name string, roles []string, passwordHash string) (User, error) {
	u, err := s.Users.Create(ctx, by, name, roles, passwordHash)
	if err == nil {
		s.forgetFailures(ctx, name)
	}
	return u, err
}

// ClearLockout forgets the failures of one counter. Errors: lockout.ErrNotFound, and the store's.
func (s *Service) ClearLockout(ctx context.Context, by activity.By, id string) error {
	cleared, err := s.lockout.Get(ctx, id)
	if err != nil {
		return err
	}
	e := by.Event(activity.Admin, LockoutEnded)
	e.NameTried, e.Device = cleared.Name, cleared.Device
	if e.User, err = s.Users.idOf(ctx, namePrefix+cleared.NameHash); err != nil {
		return err
	}
	return s.lockout.Clear(ctx, id, func(ctx context.Context, txn db.Txn) error {
		_, err := s.activity.Commit(ctx, txn, e)
		return err
	})
}
