package decision

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Counts is the set of the parts of a reading that count as work.
type Counts uint8

// The parts of a reading. All of them count by default.
const (
	CountReady Counts = 1 << iota
	CountDue
	CountInFlight

	CountAll = CountReady | CountDue | CountInFlight
)

// waiting returns the messages that count and are not in flight, or the measured number, which
// has no parts. A negative number, which no engine should count, must not hide the other
// parts; a measured one asks for no replica.
func (c Counts) waiting(r *backlog.Reading) float64 {
	if r.Measured.Known {
		return math.Max(0, r.Measured.Float())
	}
	if c == 0 {
		c = CountAll
	}
	var n float64
	if c&CountReady != 0 {
		n += math.Max(0, float64(r.Ready))
	}
	if c&CountDue != 0 {
		n += math.Max(0, float64(r.Due))
	}
	return n
}

// of returns the sum of the parts of a reading that count.
func (c Counts) of(r *backlog.Reading) float64 {
	if c == 0 || c&CountInFlight != 0 {
		return c.waiting(r) + inFlight(r)
	}
	return c.waiting(r)
}

// inFlight returns the messages in flight; 0 if the engine does not report them.
func inFlight(r *backlog.Reading) float64 { return math.Max(0, float64(r.InFlight.N)) }

// countNames returns the names of the parts, in the order of their bits.
func countNames() []string { return []string{"ready", "due", "inFlight"} }

// ParseCounts parses the names of the parts that count.
func ParseCounts(names []string) (Counts, error) {
	if len(names) == 0 {
		return 0, fmt.Errorf("names no part, want any of %s", strings.Join(countNames(), ", "))
	}
	var c Counts
	for _, name := range names {
		i := slices.Index(countNames(), name)
		if i < 0 {
			return 0, fmt.Errorf("%q is not one of %s", backlog.RedactValue(name), strings.Join(countNames(), ", "))
		}
		c |= 1 << i
	}
	return c, nil
}

func (c Counts) String() string {
	var names []string
	for i, name := range countNames() {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}
