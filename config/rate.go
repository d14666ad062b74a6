package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is how often something may happen: Count times at once, and then one more each time a Count-th of Per
// has passed. The zero Rate is none.
type Rate struct {
	Count int           // 1 to 1000000
	Per   time.Duration // 1s to 1d
}

// The bounds of a Rate.
const (
	maxRateCount = 1_000_000
	minRatePer   = time.Second
	maxRatePer   = day
)

// ParseRate reads a rate as the configuration writes it: a number, a slash and a period, such as
// "10/1m". Its errors say what would be right.
func ParseRate(text string) (Rate, error) {
	count, period, ok := strings.Cut(text, "/")
	n, err := strconv.ParseUint(count, 10, 64)
	// 010 is eight to some readers of YAML and ten to others.
	if !ok || err != nil || strconv.FormatUint(n, 10) != count {
		return Rate{}, fmt.Errorf("%s is not a rate; write a whole number, a slash and a period, such as 10/1m", quote(text))
	}
	if n < 1 || n > maxRateCount {
		return Rate{}, fmt.Errorf("%s: the number %d is out of range; 1 to %d is allowed", quote(text), n, maxRateCount)
	}
	per, err := durations(minRatePer, maxRatePer)(period)
	if err != nil {
		return Rate{}, fmt.Errorf("%s: the period %w", quote(text), err)
	}
	return Rate{Count: int(n), Per: per}, nil
}

// String returns the rate as it is written in a configuration.
func (r Rate) String() string { return fmt.Sprintf("%d/%s", r.Count, showDuration(r.Per)) }
