package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"devicegate/api"
)

const (
	pollEvery = time.Second

	// pollOverlap is how far back each poll reads again. An event gets its time before it is committed: it
	// can appear after a younger one, by as long as a commit takes.
	pollOverlap = 10 * time.Second
)

// follower prints events as they come.
type follower struct {
	admin *admin
	query url.Values
	print func([]api.Event) error // oldest first
	wait  func(context.Context) error

	newest time.Time            // of all events that were read
	shown  map[string]time.Time // ids of the events since newest - pollOverlap
}

func (c *cli) followActivity(ctx context.Context, query url.Values, f activityFlags) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	a, err := dialService(ctx, cfg)
	if err != nil {
		return err
	}
	if a == nil {
		return fmt.Errorf("--follow needs the running service, and nobody answers on the admin socket %s", cfg.AdminSocket())
	}
	list := c.activityList(ctx, a)
	if c.output == "table" {
		if err := list.table.end(); err != nil { // the header, before there is a row to wait for
			return err
		}
	}
	fw := &follower{admin: a, query: query, print: list.page, wait: ticks(pollEvery), shown: map[string]time.Time{}}
	return orNoUser(fw.run(ctx, f.limit), f.user)
}

// ticks returns a wait for the next poll.
func ticks(every time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		timer := time.NewTimer(every)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// run prints the last events, at most limit, and then new ones until ctx ends, which is no error.
func (f *follower) run(ctx context.Context, limit int) error {
	err := f.begin(ctx, limit)
	for err == nil {
		if err = f.wait(ctx); err == nil {
			err = f.poll(ctx)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// begin prints the last events. It reads on to the end of the overlap: what is too old to be among them is
// not new at the first poll.
func (f *follower) begin(ctx context.Context, limit int) error {
	var last []api.Event
	err := eachPage(ctx, f.admin, activityPath, f.query, 0, func(page []api.Event) (bool, error) {
		for _, e := range page {
			f.note(e)
			if len(last) < limit {
				last = append(last, e)
			} else if e.Time.Before(f.newest.Add(-pollOverlap)) {
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	slices.Reverse(last)
	f.forget()
	return f.print(last)
}

// poll prints the events that have come since.
func (f *follower) poll(ctx context.Context) error {
	query := maps.Clone(f.query)
	if !f.newest.IsZero() {
		query.Set("since", f.newest.Add(-pollOverlap).UTC().Format(time.RFC3339Nano))
	}
	var fresh []api.Event
	err := eachPage(ctx, f.admin, activityPath, query, 0, func(page []api.Event) (bool, error) {
		for _, e := range page {
			if _, known := f.shown[e.Id]; !known {
				fresh = append(fresh, e)
			}
		}
		return true, nil
	})
	if err != nil || len(fresh) == 0 {
		return err
	}
	for _, e := range fresh {
		f.note(e)
	}
	f.forget()
	slices.SortFunc(fresh, func(a, b api.Event) int { return strings.Compare(a.Id, b.Id) }) // the order of time
	return f.print(fresh)
}

func (f *follower) note(e api.Event) {
	f.shown[e.Id] = e.Time
	if e.Time.After(f.newest) {
		f.newest = e.Time
	}
}

// forget drops what no poll reads again.
func (f *follower) forget() {
	oldest := f.newest.Add(-pollOverlap)
	maps.DeleteFunc(f.shown, func(_ string, at time.Time) bool { return at.Before(oldest) })
}
