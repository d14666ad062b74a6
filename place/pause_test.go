package place_test

import (
	"net/http"
	"testing"
	"time"

	"devicegate/place"
)

// TestPauseGrows fails again as soon as the pause is over: 1 s, 2 s, ... 5 min.
func TestPauseGrows(t *testing.T) {
	c, p := newClock(), &place.Pause{}
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		want *= time.Second
		round, over := place.PauseOver(p, c.Now())
		if !over {
			t.Fatalf("failure %d: not over when it should be", i)
		}
		place.PauseFailed(p, round, c.Now(), 0)
		c.Move(want - 1)
		if _, over := place.PauseOver(p, c.Now()); over {
			t.Errorf("failure %d: over before %s", i, want)
		}
		c.Move(1)
	}
	round, _ := place.PauseOver(p, c.Now())
	place.PauseWorked(p, round)
	place.PauseFailed(p, round, c.Now(), 0)
	c.Move(time.Second)
	if _, over := place.PauseOver(p, c.Now()); !over {
		t.Error("a success did not forget the failures before it")
	}
}

// TestPauseOfARound has four requests fail together: that is one failure. One that succeeds after them, begun
// before, ends no pause.
func TestPauseOfARound(t *testing.T) {
	c, p := newClock(), &place.Pause{}
	round, _ := place.PauseOver(p, c.Now())
	for range 4 {
		place.PauseFailed(p, round, c.Now(), 0)
	}
	place.PauseWorked(p, round)
	if _, over := place.PauseOver(p, c.Now()); over {
		t.Error("an earlier request ended the pause")
	}
	c.Move(time.Second)
	second, over := place.PauseOver(p, c.Now())
	if !over {
		t.Error("four at once counted as more than one")
	}
	place.PauseFailed(p, second, c.Now(), 0)
	c.Move(time.Second)
	if _, over := place.PauseOver(p, c.Now()); over {
		t.Error("an earlier request made the next pause short")
	}
}

// TestPauseKeepsTheLongest has the provider ask for an hour, while another request fails for another reason.
func TestPauseKeepsTheLongest(t *testing.T) {
	c, p := newClock(), &place.Pause{}
	round, _ := place.PauseOver(p, c.Now())
	place.PauseFailed(p, round, c.Now(), time.Hour)
	place.PauseFailed(p, round, c.Now(), 0)
	c.Move(time.Hour - 1)
	if _, over := place.PauseOver(p, c.Now()); over {
		t.Error("over before the hour")
	}
}

func TestRetryAfter(t *testing.T) {
	now := newClock().Now()
	for _, c := range []struct {
		value string
		want  time.Duration
	}{
		{"", 0}, {"0", 0}, {"90", 90 * time.Second}, {"3600", time.Hour}, {"3601", time.Hour},
		{"99999999999999999999999", time.Hour}, {"-1", 0}, {"1.5", 0}, {"soon", 0}, {"9223372036854775807", time.Hour},
		{now.Add(time.Minute).Format(http.TimeFormat), time.Minute},
		{now.Add(-time.Minute).Format(http.TimeFormat), 0},
		{now.Add(48 * time.Hour).Format(http.TimeFormat), time.Hour},
	} {
		if got := place.RetryAfter(http.Header{"Retry-After": {c.value}}, now); got != c.want {
			t.Errorf("Retry-After: %s is %s, want %s", c.value, got, c.want)
		}
	}
}
