package command

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// MaxManifestFile bounds a file with objects, in bytes.
const MaxManifestFile = 16 << 20

// ReadFile reads a file, or the standard input for -, of at most so many bytes. what is in it is for
// the error.
func ReadFile(what, name string, most int64) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil { //nolint:gosec // the user names it
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		defer func() { _ = file.Close() }()
	}
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("read %s: %s has more than %d bytes", what, name, most)
	}
	return data, nil
}

// A Period is a length of time that may be written in days, such as 14d.
type Period time.Duration

// maxPeriod is the longest time whose windows are printed.
const maxPeriod = 366 * 24 * time.Hour

// UnmarshalText parses a period; kong calls it.
func (p *Period) UnmarshalText(text []byte) error {
	days, inDays := strings.CutSuffix(string(text), "d")
	length, err := time.ParseDuration(string(text))
	if inDays {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			length = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || length <= 0 || length > maxPeriod {
		return fmt.Errorf("%q: want a time such as 14d or 36h, at most %gd", text, maxPeriod.Hours()/24)
	}
	*p = Period(length)
	return nil
}

// A Moment is a time, or the beginning of a day in UTC.
type Moment time.Time

// UnmarshalText parses a moment; kong calls it.
func (m *Moment) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			*m = Moment(at)
			return nil
		}
	}
	return fmt.Errorf("%q: want a day such as 2026-11-26, or a time such as 2026-11-26T12:00:00+01:00", text)
}

// Qualified reports whether a name has a namespace before it, as in shop/billing.
func Qualified(name string) bool {
	before, after, found := strings.Cut(name, "/")
	return found && before != "" && after != ""
}
