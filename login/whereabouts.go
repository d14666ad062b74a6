package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/uuid"

	"devicegate/activity"
	"devicegate/db"
)

// Bounds of what is remembered of where a user signed in from; what was used longest ago goes.
const (
	maxNetworks = 50
	maxSeenIn   = 30
	// refreshSeen is how often a known place is written again.
	refreshSeen = 24 * time.Hour
)

const whereaboutsSchema = 1

// whereabouts is where a user has signed in from: p/<user>.
type whereabouts struct {
	Schema    int    `json:"schema"`
	Networks  []seen `json:"networks"`
	Countries []seen `json:"countries,omitempty"`
}

// seen is one place and when a sign-in last came from it.
type seen struct {
	Place string    `json:"place"`
	Last  time.Time `json:"last"`
}

func whereaboutsKey(user uuid.UUID) string { return "p/" + user.String() }

// loadWhereabouts returns what is known of the user, and the condition that it is unchanged.
func (us *Users) loadWhereabouts(ctx context.Context, user uuid.UUID) (w whereabouts, unchanged db.Condition, err error) {
	key := whereaboutsKey(user)
	e, err := us.Store.Get(ctx, key)
	if errors.Is(err, db.ErrNotFound) {
		return whereabouts{}, db.Absent(key), nil
	}
	if err != nil {
		return whereabouts{}, db.Condition{}, err
	}
	if err := json.Unmarshal(e.Value, &w); err != nil {
		return whereabouts{}, db.Condition{}, fmt.Errorf("the record %q cannot be read: %w", key, err)
	}
	if w.Schema != whereaboutsSchema {
		return whereabouts{}, db.Condition{}, fmt.Errorf("the record %q has schema %d, this version knows %d: use the version that wrote it or a newer one", key, w.Schema, whereaboutsSchema)
	}
	return w, db.Unchanged(e), nil
}

func (w whereabouts) write(user uuid.UUID) (db.Write, error) {
	w.Schema = whereaboutsSchema
	b, err := json.Marshal(w)
	return db.Put(whereaboutsKey(user), b), err
}

// note notes a place and reports whether it is new beside others that are known, and whether the list
// changed. The first place of a user is not new: there is nothing to compare it with.
func note(list *[]seen, place string, now time.Time, limit int) (isNew, changed bool) {
	if place == "" {
		return false, false
	}
	at := slices.IndexFunc(*list, func(s seen) bool { return s.Place == place })
	if at >= 0 {
		if now.Sub((*list)[at].Last) < refreshSeen {
			return false, false
		}
		(*list)[at].Last = now
		return false, true
	}
	isNew = len(*list) > 0
	*list = append(*list, seen{Place: place, Last: now})
	if len(*list) > limit {
		slices.SortStableFunc(*list, func(a, b seen) int { return a.Last.Compare(b.Last) })
		*list = slices.Delete(*list, 0, len(*list)-limit)
	}
	return isNew, true
}

// neighbourhood is the network by which a sign-in is called new: /24 of IPv4 and /48 of IPv6, because the
// address alone changes daily for many people.
func neighbourhood(ip netip.Addr) string {
	if !ip.IsValid() {
		return ""
	}
	ip = ip.Unmap()
	bits := 24
	if ip.Is6() {
		bits = 48
	}
	p, _ := ip.WithZone("").Prefix(bits) // both lengths fit their family
	return p.String()
}

// noteSignIn marks the event of a sign-in as from a new network or country, and adds what is to be
// remembered to its transaction.
func (us *Users) noteSignIn(ctx context.Context, user uuid.UUID, e *activity.Event, txn *db.Txn) error {
	w, unchanged, err := us.loadWhereabouts(ctx, user)
	if err != nil {
		return err
	}
	var network, country bool
	e.NewNetwork, network = note(&w.Networks, neighbourhood(e.IP), us.now(), maxNetworks)
	e.NewCountry, country = note(&w.Countries, e.Country, us.now(), maxSeenIn)
	if !network && !country {
		return nil
	}
	write, err := w.write(user)
	txn.If, txn.Writes = append(txn.If, unchanged), append(txn.Writes, write)
	return err
}

// noteCountry is noteSignIn for a country that is known only after the sign-in was answered.
func (us *Users) noteCountry(ctx context.Context, user uuid.UUID, country string) (isNew bool, err error) {
	for range maxRetries {
		w, unchanged, err := us.loadWhereabouts(ctx, user)
		if err != nil {
			return false, err
		}
		isNew, changed := note(&w.Countries, country, us.now(), maxSeenIn)
		if !changed {
			return isNew, nil
		}
		account, err := us.Store.Get(ctx, userKey(user)) // a user who is gone leaves nothing behind
		if errors.Is(err, db.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		write, err := w.write(user)
		if err != nil {
			return false, err
		}
		_, err = us.Store.Commit(ctx, db.Txn{If: []db.Condition{unchanged, db.Unchanged(account)}, Writes: []db.Write{write}})
		if !errors.Is(err, db.ErrConflict) {
			return isNew, err
		}
	}
	return false, fmt.Errorf("gave up after %d tries: %w", maxRetries, db.ErrUnavailable)
}
