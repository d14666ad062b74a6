package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
	"devicegate/device"
	"devicegate/identity"
)

const userSchema = 1

var (
	// ErrUserExists means: the name, or another spelling of it, is taken.
	ErrUserExists = errors.New("a user of that name exists")
	// ErrNoUser means: there is no such user.
	ErrNoUser = errors.New("no such user")
)

// User is one account as it is stored. Times are UTC, to the millisecond.
type User struct {
	Schema     int       `json:"schema"`
	ID         uuid.UUID `json:"id"`
	Name       string    `json:"name"`  // as typed
	Roles      []string  `json:"roles"` // in the order they were given, none twice
	Disabled   bool      `json:"disabled"`
	Generation uint32    `json:"generation"` // raised to end every device at once

	Ended   device.EndReason `json:"ended,omitzero"` // why it was raised last
	EndedAt time.Time        `json:"ended_at,omitzero"`

	// Issuer is the configured name of the foreign issuer whose user this is; MovedAt when he got his first
	// tokens of ours. Until then name and roles are what his tokens say.
	Issuer  string    `json:"issuer,omitempty"`
	MovedAt time.Time `json:"moved_at,omitzero"`
	Owner   string    `json:"owner,omitempty"` // "issuer:user_id": he is found by it as well

	PasswordHash string    `json:"password_hash"`
	CreatedAt    time.Time `json:"created_at"`
	LastSignInAt time.Time `json:"last_sign_in_at,omitzero"`
}

// Users keeps the accounts.
type Users struct {
	Store db.Store
	Now   func() time.Time
	Rand  io.Reader
	// Activity takes the events of what happens to accounts.
	Activity *activity.Log
	// EncodeHeader is how the gate writes a name into a header; it bounds what a name may measure.
	EncodeHeader func(string) string
}

// adminKey marks an enabled admin, so that the last one is found without reading every account.
func adminKey(id uuid.UUID) string { return adminPrefix + id.String() }

const adminPrefix = "m/admin/"

func userKey(id uuid.UUID) string { return "u/" + id.String() }

func (u User) encode() []byte {
	u.Schema = userSchema
	b, err := json.Marshal(u)
	if err != nil {
		panic(fmt.Sprintf("an account of plain values cannot fail to encode: %v", err))
	}
	return b
}

func decodeUser(e db.Entry) (User, error) {
	var u User
	if err := json.Unmarshal(e.Value, &u); err != nil {
		return User{}, fmt.Errorf("the record %q cannot be read: %w", e.Key, err)
	}
	if u.Schema != userSchema {
		return User{}, fmt.Errorf("the record %q has schema %d, this version knows %d: use the version that wrote it or a newer one", e.Key, u.Schema, userSchema)
	}
	return u, nil
}

// rowWrite writes what checks know of the account.
func (u User) rowWrite() db.Write {
	row := device.UserRow{Disabled: u.Disabled, Generation: u.Generation, Ended: u.Ended, EndedAt: u.EndedAt, Name: u.Name, Roles: u.Roles, Foreign: u.Issuer != "", Moved: !u.MovedAt.IsZero()}
	return db.Put(device.UserRowKey(u.ID), row.Encode())
}

// enabledAdmin reports whether the account may administrate.
func (u User) enabledAdmin() bool { return !u.Disabled && slices.Contains(u.Roles, AdminRole) }

func (u User) adminWrite() db.Write {
	if u.enabledAdmin() {
		return db.Put(adminKey(u.ID), []byte(u.Name))
	}
	return db.Delete(adminKey(u.ID))
}

// raise ends every device of the user: those that signed in before are of a lower generation from now on.
func (u *User) raise(why device.EndReason, now time.Time) {
	u.Generation++
	u.Ended, u.EndedAt = why, now
}

// Check says what is wrong with a name and roles before anything is computed for them; nil when nothing.
func (us *Users) Check(name string, roles []string) error {
	if err := checkName(name); err != nil {
		return err
	}
	unique, err := checkRoles(roles)
	if err != nil {
		return err
	}
	return checkIdentity(name, unique, us.EncodeHeader)
}

// Create makes an account. Errors: *InvalidError, ErrUserExists, and the store's.
func (us *Users) Create(ctx context.Context, by activity.By, name string, roles []string, passwordHash string) (User, error) {
	if err := us.Check(name, roles); err != nil {
		return User{}, err
	}
	roles, err := checkRoles(roles)
	if err != nil {
		return User{}, err
	}
	id, err := uuid.NewV7FromReader(us.Rand)
	if err != nil {
		return User{}, fmt.Errorf("making an id: %w", err)
	}
	u := User{ID: id, Name: name, Roles: roles, Generation: 1, PasswordHash: passwordHash, CreatedAt: us.now()}
	_, err = us.Activity.Commit(ctx, u.txn(db.Txn{
		If:     []db.Condition{db.Absent(nameKey(name)), db.Absent(userKey(id)), db.Absent(userKey(identity.UserID(name)))},
		Writes: []db.Write{db.Put(nameKey(name), []byte(id.String()))},
	}), u.event(by, UserCreated))
	if errors.Is(err, db.ErrConflict) {
		return User{}, ErrUserExists
	}
	return u, err
}

func (us *Users) now() time.Time { return us.Now().UTC().Truncate(time.Millisecond) }

// ByName returns the account that any spelling of name means, or ErrNoUser.
func (us *Users) ByName(ctx context.Context, name string) (User, error) {
	u, _, err := us.byName(ctx, name)
	return u, err
}

func (us *Users) byName(ctx context.Context, name string) (User, db.Entry, error) {
	// A user of an issuer is found by "issuer:user_id" as it stands, whoever has another spelling of that.
	if u, e, err := us.byID(ctx, identity.UserID(name)); err == nil && u.Owner == name {
		return u, e, nil
	} else if err != nil && !errors.Is(err, ErrNoUser) {
		return User{}, db.Entry{}, err
	}
	id, err := us.idOf(ctx, nameKey(name))
	if err != nil {
		return User{}, db.Entry{}, err
	}
	return us.byID(ctx, id)
}

// idOf returns the id of the user that a name's key leads to, or the zero id.
func (us *Users) idOf(ctx context.Context, key string) (uuid.UUID, error) {
	e, err := us.Store.Get(ctx, key)
	if errors.Is(err, db.ErrNotFound) {
		return uuid.UUID{}, nil
	}
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.ParseBytes(e.Value)
	if err != nil {
		return uuid.UUID{}, fmt.Errorf("the record %q cannot be read: %w", e.Key, err)
	}
	return id, nil
}

// Exists reports whether a user has a name of this hash (see NameHash).
func (us *Users) Exists(ctx context.Context, nameHash string) (bool, error) {
	id, err := us.idOf(ctx, namePrefix+nameHash)
	return id != uuid.UUID{}, err
}

// ByID returns the account, or ErrNoUser.
func (us *Users) ByID(ctx context.Context, id uuid.UUID) (User, error) {
	u, _, err := us.byID(ctx, id)
	return u, err
}

func (us *Users) byID(ctx context.Context, id uuid.UUID) (User, db.Entry, error) {
	e, err := us.Store.Get(ctx, userKey(id))
	if errors.Is(err, db.ErrNotFound) {
		return User{}, db.Entry{}, ErrNoUser
	}
	if err != nil {
		return User{}, db.Entry{}, err
	}
	u, err := decodeUser(e)
	return u, e, err
}

// List returns up to limit accounts with an id above after (the zero id: from the start), oldest first.
func (us *Users) List(ctx context.Context, after uuid.UUID, limit int) ([]User, error) {
	entries, _, err := us.Store.Range(ctx, userKey(after)+"\x00", db.PrefixEnd("u/"), limit)
	if err != nil {
		return nil, err
	}
	users := make([]User, 0, len(entries))
	for _, e := range entries {
		u, err := decodeUser(e)
		if err != nil {
			return nil, err
		}
		users = append(users, u)
	}
	return users, nil
}

// change reads an account, lets edit change it and name more conditions, writes and events, and has commit
// write all of it with the account's row; again when somebody else changed the account, or what commit
// works on, meanwhile. It writes also where nothing changed: whoever has just written the same may not be
// answered yet, and checks know it only then.
func (us *Users) change(ctx context.Context, id uuid.UUID,
	edit func(*User) (db.Txn, []activity.Event, error), commit func(User, db.Txn, []activity.Event) error) (User, error) {
	for range maxRetries {
		u, e, err := us.byID(ctx, id)
		if err != nil {
			return User{}, err
		}
		more, events, err := edit(&u)
		if err != nil {
			return User{}, err
		}
		txn := u.txn(db.Txn{If: append([]db.Condition{db.Unchanged(e)}, more.If...), Writes: more.Writes})
		if err := commit(u, txn, events); !errors.Is(err, db.ErrConflict) {
			return u, err
		}
	}
	return User{}, fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}

// txn writes the account and its row beside more.
func (u User) txn(more db.Txn) db.Txn {
	own := []db.Write{db.Put(userKey(u.ID), u.encode()), u.rowWrite(), u.adminWrite()}
	return db.Txn{If: more.If, Writes: append(own, more.Writes...)}
}

// commit writes a changed account as it is.
func (us *Users) commit(ctx context.Context) func(User, db.Txn, []activity.Event) error {
	return func(_ User, txn db.Txn, events []activity.Event) error {
		_, err := us.Activity.Commit(ctx, txn, events...)
		return err
	}
}
