package journal_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"devicegate/authz"
	"devicegate/reason"
)

// series returns the values of all counters, by their names and labels.
func (f *fixture) series(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			all[family.GetName()+" "+strings.Join(labels, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// Every adapter and reason has its series from the start, under its own word.
func TestEveryCheckIsCounted(t *testing.T) {
	f := newFixture(1)
	before := f.series(t)
	want := map[string]float64{}
	for _, a := range authz.Adapters() {
		for _, why := range reason.All() {
			rec := record(why)
			rec.Request.Adapter = a
			f.Check(rec)
			name := fmt.Sprintf("devicegate_checks_total %s %s %s", a, why.Outcome(), why)
			want[name] = 1
			if _, there := before[name]; !there {
				t.Errorf("%s is not there before it is counted", name)
			}
		}
	}
	got := map[string]float64{}
	for name, value := range f.series(t) {
		if strings.HasPrefix(name, "devicegate_checks_total") && value != 0 {
			got[name] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Labels come from closed lists: whatever clients send, a scrape does not grow.
func TestSeriesAreConstant(t *testing.T) {
	f := newFixture(1)
	names := func() []string {
		var all []string
		for name := range f.series(t) {
			all = append(all, name)
		}
		slices.Sort(all)
		return all
	}
	before := names()
	for i := range 10_000 {
		odd := fmt.Sprint("odd ", i, "\x00\xff")
		rec := record(reason.Reason(i))
		rec.Request = authz.Request{Adapter: authz.Adapter(i / 7), Policy: odd, Method: odd, Host: odd, Path: odd, RequestID: odd}
		rec.Decision.User, rec.Status, rec.Took = odd, i, time.Duration(i)*time.Second
		f.Check(rec)
	}
	if diff := cmp.Diff(before, names()); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	total := 0.0
	for name, value := range f.series(t) {
		if strings.HasPrefix(name, "devicegate_checks_total") {
			total += value
		}
	}
	if total != 10_000 {
		t.Errorf("%v of 10000 checks were counted", total)
	}
}
