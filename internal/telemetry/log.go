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

// A Log writes lines. Each text in them is what line makes of it, and lines that say the
// same again and again are counted instead (see repeats).
type Log struct {
	*slog.Logger

	repeats *repeats
}

// NewLog returns a Log of the format that writes lines of the level and above to w.
// Texts are made fit to be read by line. The Log has to be closed.
func NewLog(w io.Writer, format string, level slog.Level, line func(string) string) *Log {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		return presentable(a, line)
	}}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if format == FormatJSON {
		handler = slog.NewJSONHandler(w, options)
	}
	counted := newRepeats(handler)
	return &Log{Logger: slog.New(counted), repeats: counted.repeats}
}

// Close writes how many lines were left out, and lets all others pass from now on.
func (l *Log) Close() { l.repeats.close() }

// presentable returns an attribute whose texts can be read: errors and other values are
// the text that they print as.
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
