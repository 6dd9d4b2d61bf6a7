package telemetry

import (
	"fmt"
	"io"
	"log/slog"
)

// The formats of a log.
const (
	FormatText = "text"
	FormatJSON = "json"
)

// A Log is a logger that makes each text printable, and suppresses lines that repeat (see
// repeats).
type Log struct {
	*slog.Logger

	repeats *repeats
}

// NewLog returns a Log of the format that writes lines of the level and above to w. line makes
// a text printable. The Log must be closed.
func NewLog(w io.Writer, format string, level slog.Level, line func(string) string) *Log {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		return presentable(a, line)
	}}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if format == FormatJSON {
		handler = slog.NewJSONHandler(w, options)
	}
	return LimitRepeats(handler)
}

// LimitRepeats returns a Log that writes to handler what is left of repeated lines. It must be
// closed.
func LimitRepeats(handler slog.Handler) *Log {
	counted := newRepeats(handler)
	return &Log{Logger: slog.New(counted), repeats: counted.repeats}
}

// Close writes the summaries of suppressed lines. Later lines are not suppressed.
func (l *Log) Close() { l.repeats.close() }

// presentable returns an attribute with a printable text: errors and other values become the
// text that they print as.
func presentable(a slog.Attr, line func(string) string) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(line(a.Value.String()))
	case slog.KindAny:
		switch value := a.Value.Any().(type) {
		case slog.Level, *slog.Source, nil:
			// The handler's own.
		default:
			a.Value = slog.StringValue(line(fmt.Sprint(value)))
		}
	default:
	}
	return a
}
