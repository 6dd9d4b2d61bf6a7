package trace

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// The columns of a CSV.
const (
	columnTime     = "time"
	columnArrivals = "arrivals"
	columnOver     = "over"
	columnService  = "service"
)

func columns() []string { return []string{columnTime, columnArrivals, columnOver, columnService} }

// A table reads a CSV: a head, and then a line for each arrival.
//
//	time,arrivals,over,service
//	0,100,0,0.5
//	1m,600,1m,1.2
//
// The time is in seconds, a duration such as 1m30s, or a time such as 2026-11-26T12:00:00Z. The
// arrivals come over the time until the next line unless there is a column "over"; those of the
// last line come over the time that the line before it took. "service" is how long a worker takes
// for each message.
type table struct {
	trace   *Trace
	columns []string
	// noted reports whether each arrival has a time over which it came.
	noted bool
	// absolute reports that times are of a day.
	absolute bool
	// times are those of all lines, also without arrivals.
	times []time.Duration
}

// readCSV reads a CSV.
func readCSV(r io.Reader, t *Trace) error {
	t.Header = Header{Unit: "messages", Source: "CSV", Quality: Exact, ServiceQuality: Assumed}
	c := &table{trace: t}
	if err := lines(r, c.line); err != nil {
		return err
	}
	if c.columns == nil {
		return errors.New("it is empty, want a CSV with the columns time and arrivals")
	}
	c.spread()
	return nil
}

// line reads a line.
func (c *table) line(_ int, line []byte) error {
	cells, err := csv.NewReader(bytes.NewReader(line)).Read()
	if err != nil {
		return fmt.Errorf("parse CSV: %w", errors.Unwrap(err))
	}
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if c.columns == nil {
		return c.head(cells)
	}
	if len(cells) != len(c.columns) {
		return fmt.Errorf("%d cells, want %d: %s", len(cells), len(c.columns), strings.Join(c.columns, ","))
	}
	var a Arrival
	for i, name := range c.columns {
		if err := c.cell(&a, name, cells[i]); err != nil {
			return err
		}
	}
	if n := len(c.times); n > 0 && a.At < c.times[n-1] {
		return fmt.Errorf("time %s is before that of the line above, want lines in the order of time", cells[slices.Index(c.columns, columnTime)])
	}
	c.times = append(c.times, a.At)
	c.trace.End = max(c.trace.End, a.At)
	return c.trace.arrive(a)
}

// head reads the names of the columns.
func (c *table) head(cells []string) error {
	for i, name := range cells {
		switch {
		case !slices.Contains(columns(), name):
			return fmt.Errorf("column %q: want some of %s%s", shorten(name), strings.Join(columns(), ", "), suggest(name))
		case slices.Contains(cells[:i], name):
			return fmt.Errorf("column %q is there twice", name)
		}
	}
	for _, name := range []string{columnTime, columnArrivals} {
		if !slices.Contains(cells, name) {
			return fmt.Errorf("no column %s, want the columns time and arrivals, and over and service where they are known", name)
		}
	}
	c.columns, c.noted = cells, slices.Contains(cells, columnOver)
	return nil
}

func suggest(name string) string {
	if near := spelling.Nearest(name, columns()); near != "" {
		return fmt.Sprintf(", did you mean %q?", near)
	}
	return ""
}

// shorten truncates a text for an error.
func shorten(text string) string {
	const most = 80
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// cell reads a cell.
func (c *table) cell(a *Arrival, column, text string) error {
	var err error
	switch column {
	case columnTime:
		a.At, err = c.time(text)
	case columnArrivals:
		if a.Count, err = strconv.ParseInt(text, 10, 64); err != nil || a.Count < 0 {
			err = fmt.Errorf("arrivals %q: want a whole number, 0 or more", shorten(text))
		}
	case columnOver:
		a.Over, err = length(columnOver, text)
	case columnService:
		a.Work, err = length(columnService, text)
	}
	return err
}

// time reads a time, relative to the first one if it is of a day.
func (c *table) time(text string) (time.Duration, error) {
	at, err := time.Parse(time.RFC3339, text)
	absolute := err == nil
	if len(c.times) > 0 && absolute != c.absolute {
		return 0, fmt.Errorf("time %q: want the same form in all lines", shorten(text))
	}
	if !absolute {
		return length(columnTime, text)
	}
	c.absolute = true
	if len(c.times) == 0 {
		c.trace.Start = at.UTC()
	}
	offset := at.Sub(c.trace.Start)
	if offset > MaxLength {
		return 0, fmt.Errorf("time %q: want at most %s after the first", text, MaxLength)
	}
	return offset, nil
}

// length reads a time in seconds or as a duration.
func length(column, text string) (time.Duration, error) {
	if text == "" && column != columnTime {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if s, number := strconv.ParseFloat(text, 64); number == nil && !math.IsNaN(s) {
		return seconds(column, s)
	}
	if err != nil || d < 0 || d > MaxLength {
		want := "seconds such as 90, or a duration such as 1m30s"
		if column == columnTime {
			want += ", or a time such as 2026-11-26T12:00:00Z"
		}
		return 0, fmt.Errorf("%s %q: want %s", column, shorten(text), want)
	}
	return d, nil
}

// spread spreads arrivals over the time until the next line, where no line says otherwise.
func (c *table) spread() {
	if c.noted || len(c.times) < 2 {
		return
	}
	times := slices.Compact(c.times)
	next := make(map[time.Duration]time.Duration, len(times))
	over := time.Duration(0)
	for i, at := range times {
		if i+1 < len(times) {
			over = times[i+1] - at
		}
		next[at] = over
		if i == 0 || c.trace.Resolution > over {
			c.trace.Resolution = over
		}
	}
	for i := range c.trace.Arrivals {
		a := &c.trace.Arrivals[i]
		a.Over = next[a.At]
	}
}
