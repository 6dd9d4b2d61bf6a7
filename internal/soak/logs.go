package soak

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxLines is how many lines with the same message the log may have in a minute, of all
// connections together.
const maxLines = 100

// A logCounter is a handler of logs that counts lines by message. It is safe for
// concurrent use.
type logCounter struct {
	*logCounts
	text slog.Handler
}

type logCounts struct {
	mu     sync.Mutex
	minute time.Time
	lines  map[string]int
	// most is the most lines of each message in any minute.
	most map[string]int
	// tail is the end of the log.
	tail []string
}

func newLogCounter() *logCounter {
	c := &logCounts{lines: map[string]int{}, most: map[string]int{}}
	return &logCounter{c, slog.NewTextHandler(c, nil)}
}

// Enabled implements slog.Handler.
func (l *logCounter) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l *logCounter) Handle(ctx context.Context, record slog.Record) error {
	l.count(record.Level.String()+" "+record.Message, record.Time)
	return l.text.Handle(ctx, record)
}

// WithAttrs implements slog.Handler.
func (l *logCounter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &logCounter{l.logCounts, l.text.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (l *logCounter) WithGroup(name string) slog.Handler {
	return &logCounter{l.logCounts, l.text.WithGroup(name)}
}

func (c *logCounts) count(message string, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Sub(c.minute) >= time.Minute {
		c.minute = at
		clear(c.lines)
	}
	c.lines[message]++
	c.most[message] = max(c.most[message], c.lines[message])
}

// Write takes a line.
func (c *logCounts) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tail = append(c.tail, string(line))
	if len(c.tail) > 400 {
		c.tail = slices.Clone(c.tail[200:])
	}
	return len(line), nil
}

// busiest returns the most lines of each message in a minute.
func (c *logCounts) busiest() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.most)
}

// summary lists the most lines of each message in a minute.
func (c *logCounts) summary() string {
	var lines []string
	for message, n := range c.busiest() {
		lines = append(lines, fmt.Sprintf("%6d  %s\n", n, message))
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// lastLines returns the end of the log.
func (c *logCounts) lastLines(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.tail[max(0, len(c.tail)-n):], "")
}
