package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"devicegate/api"
)

// eventLog answers as the administration does: newest first, since a time, a page at a time.
type eventLog struct {
	events   []api.Event // ids ascend
	requests []url.Values
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// add adds the event of a second after noon, wherever in the order it belongs.
func (l *eventLog) add(seconds ...int) {
	for _, s := range seconds {
		l.events = append(l.events, api.Event{Id: fmt.Sprintf("%06d", s), Time: noon.Add(time.Duration(s) * time.Second)})
	}
	slices.SortFunc(l.events, func(a, b api.Event) int { return strings.Compare(a.Id, b.Id) })
}

func (l *eventLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	l.requests = append(l.requests, query)
	limit, _ := strconv.Atoi(query.Get("limit")) // always one
	since, _ := time.Parse(time.RFC3339, query.Get("since"))
	page := api.EventPage{Results: []api.Event{}}
	for _, e := range slices.Backward(l.events) {
		if cursor := query.Get("cursor"); e.Time.Before(since) || cursor != "" && e.Id >= cursor {
			continue
		}
		if len(page.Results) == min(limit, 3) { // short pages: there is more than one
			page.Next = &page.Results[len(page.Results)-1].Id
			break
		}
		page.Results = append(page.Results, e)
	}
	_ = json.NewEncoder(w).Encode(page) // to a recorder
}

// follow runs a follower whose waits are the steps, and returns what it prints, a group for each print.
func (l *eventLog) follow(t *testing.T, limit int, steps ...func()) (printed []string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &follower{
		admin: &admin{client: &http.Client{Transport: inProcess{l}}}, query: url.Values{"outcome": {"failure"}},
		shown: map[string]time.Time{},
		print: func(events []api.Event) error {
			var ids []string
			for _, e := range events {
				ids = append(ids, strings.TrimLeft(e.Id, "0"))
			}
			printed = append(printed, strings.Join(ids, " "))
			return nil
		},
		wait: func(ctx context.Context) error {
			if len(steps) == 0 {
				stop()
				return ctx.Err()
			}
			steps[0]()
			steps = steps[1:]
			return nil
		},
	}
	if err := f.run(ctx, limit); err != nil {
		t.Errorf("it ends with %v", err)
	}
	if oldest := f.newest.Add(-pollOverlap); slices.ContainsFunc(slices.Collect(maps.Values(f.shown)), oldest.After) {
		t.Error("it remembers more than it reads again")
	}
	return printed
}

func TestFollow(t *testing.T) {
	for name, c := range map[string]struct {
		before []int
		limit  int
		then   [][]int // what comes before each poll
		want   string
	}{
		"the last ones, then new ones":         {[]int{1, 2, 3}, 2, [][]int{{4}, {}, {5, 6}}, "2 3|4|5 6"},
		"nothing yet":                          {nil, 5, [][]int{{}, {1, 2}, {3}}, "|1 2|3"},
		"more than a page at once":             {[]int{1}, 5, [][]int{{2, 3, 4, 5, 6, 7, 8}}, "1|2 3 4 5 6 7 8"},
		"one that appears after a younger one": {[]int{10, 20}, 5, [][]int{{15}, {14, 21}}, "10 20|15|14 21"},
		"cut off at the start is not new":      {[]int{11, 12, 13, 14, 15, 16, 17, 18}, 2, [][]int{{19}}, "17 18|19"},
		"long ago is not read again":           {[]int{1, 2, 3, 4, 50}, 1, [][]int{{51}, {90}, {91}}, "50|51|90|91"},
		"too late for the overlap":             {[]int{100}, 5, [][]int{{80}, {101}}, "100|101"},
	} {
		t.Run(name, func(t *testing.T) {
			var l eventLog
			l.add(c.before...)
			var steps []func()
			for _, s := range c.then {
				steps = append(steps, func() { l.add(s...) })
			}
			if got := strings.Join(l.follow(t, c.limit, steps...), "|"); got != c.want {
				t.Errorf("it prints %q, want %q", got, c.want)
			}
			for _, r := range l.requests {
				if r.Get("outcome") != "failure" {
					t.Errorf("it asks without the filter: %v", r)
				}
			}
		})
	}
}

// TestFollowEndsWithAnError when the service does.
func TestFollowEndsWithAnError(t *testing.T) {
	var l eventLog
	gone := errors.New("gone")
	f := &follower{
		admin: &admin{client: &http.Client{Transport: inProcess{&l}}}, shown: map[string]time.Time{},
		print: func([]api.Event) error { return nil }, wait: func(context.Context) error { return gone },
	}
	if err := f.run(t.Context(), 1); !errors.Is(err, gone) {
		t.Errorf("it ends with %v", err)
	}
}
