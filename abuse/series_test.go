package abuse_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// metricNames are all metrics of the service's own; those of the process and of Go come besides. Whoever adds one says
// here that its labels come from a closed list: withstand demands that no attack adds a series.
var metricNames = []string{
	"devicegate_activity_events",
	"devicegate_build_info",
	"devicegate_check_duration_seconds",
	"devicegate_checks_total",
	"devicegate_config_last_reload_successful",
	"devicegate_config_reloads_total",
	"devicegate_devices",
	"devicegate_lockout_dropped_total",
	"devicegate_lockout_unknown_names",
	"devicegate_place_dropped_total",
	"devicegate_policies_in_report_mode",
	"devicegate_reported_checks_total",
	"devicegate_sign_ins_total",
	"devicegate_store_writes_refused",
}

// mostSeries bounds the series of all metrics together.
const mostSeries = 600

// TestSeries: V10. The metrics are these, and their series few.
func TestSeries(t *testing.T) {
	t.Parallel()
	all := startGate(t, nil).series(t)
	var names []string
	for _, one := range all {
		name, _, _ := strings.Cut(one, "{")
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		if strings.HasPrefix(name, "devicegate_") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(metricNames, slices.Compact(names)); diff != "" {
		t.Errorf("the metrics (-want +got):\n%s", diff)
	}
	if len(all) > mostSeries {
		t.Errorf("there are %d series, want at most %d", len(all), mostSeries)
	}
	t.Logf("%d series", len(all))
}
