package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// The bounds of a log.
const (
	// repeatWindow is the window in which lines of one kind are counted.
	repeatWindow = time.Minute
	// repeatMost is the number of lines of one kind that are written in a window, and
	// errorMost that of the level error: errors are rare, and each may matter.
	repeatMost, errorMost = 10, 100
	// maxKinds is the number of kinds that are counted separately. All others are one kind.
	maxKinds = 1000
)

// kindKeys returns the attributes that, with message and level, make the kind of a line. They
// have few values: connections and their servers, namespaces, codes, libraries.
func kindKeys() []string { return []string{"connection", "address", "namespace", "code", "library"} }

// repeats counts the lines of each kind. The first lines of a kind in each window are written.
// At the end of the window a summary has the number of suppressed ones.
type repeats struct {
	// handler writes the summaries.
	handler slog.Handler

	// mu guards what follows. It is a leaf, and never held while a line is written.
	mu     sync.Mutex
	kinds  map[string]*kind
	closed bool
	// writing waits for the summaries that are being written.
	writing sync.WaitGroup
}

// A kind counts similar lines in the current window.
type kind struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
	written int
	// suppressed is the number of lines that were not written.
	suppressed int
	// ends is the end of the window. Its timer writes the summary; nil while nothing is
	// suppressed.
	ends  time.Time
	timer *time.Timer
}

// A repeatHandler is a slog.Handler that suppresses repeats.
type repeatHandler struct {
	slog.Handler

	repeats *repeats
	// attrs are the attributes of the logger with kindKeys.
	attrs []slog.Attr
	// grouped reports that further attributes are in a group, so they have no kindKeys.
	grouped bool
}

func newRepeats(handler slog.Handler) *repeatHandler {
	return &repeatHandler{Handler: handler, repeats: &repeats{handler: handler, kinds: map[string]*kind{}}}
}

// Handle writes a record unless it is suppressed.
func (h *repeatHandler) Handle(ctx context.Context, r slog.Record) error {
	if !h.repeats.pass(r, h.kindOf(r)) { //nolint:contextcheck // a summary is written when the call is over
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h *repeatHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.Handler = h.Handler.WithAttrs(attrs)
	if !h.grouped {
		next.attrs = append([]slog.Attr{}, h.attrs...)
		for _, a := range attrs {
			next.attrs = appendKind(next.attrs, a)
		}
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *repeatHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.Handler, next.grouped = h.Handler.WithGroup(name), true
	return &next
}

// kindOf returns the attributes of a record that make its kind.
func (h *repeatHandler) kindOf(r slog.Record) []slog.Attr {
	attrs := append([]slog.Attr{}, h.attrs...)
	if !h.grouped {
		r.Attrs(func(a slog.Attr) bool {
			attrs = appendKind(attrs, a)
			return true
		})
	}
	return attrs
}

func appendKind(attrs []slog.Attr, a slog.Attr) []slog.Attr {
	if slices.Contains(kindKeys(), a.Key) {
		return append(attrs, a)
	}
	return attrs
}

// pass reports whether a record is to be written.
func (r *repeats) pass(record slog.Record, attrs []slog.Attr) bool {
	var key strings.Builder
	key.WriteString(record.Level.String() + "\x00" + record.Message)
	for _, a := range attrs {
		key.WriteString("\x00" + a.Key + "=" + a.Value.String())
	}
	now := record.Time
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return true
	}
	k := r.find(key.String(), record, attrs, now)
	most := repeatMost
	if record.Level >= slog.LevelError {
		most = errorMost
	}
	if k.written < most {
		k.written++
		return true
	}
	k.suppressed++
	if k.timer == nil {
		r.writing.Add(1)
		k.timer = time.AfterFunc(max(0, k.ends.Sub(now)), func() {
			defer r.writing.Done()
			r.summarize(k)
		})
	}
	return false
}

// find returns the kind of a record, in its current window. mu is held.
func (r *repeats) find(key string, record slog.Record, attrs []slog.Attr, now time.Time) *kind {
	k := r.kinds[key]
	if k == nil && len(r.kinds) >= maxKinds {
		r.forget(now)
		if len(r.kinds) >= maxKinds {
			key = record.Level.String()
			k, record, attrs = r.kinds[key], slog.Record{Level: record.Level, Message: "other log lines"}, nil
		}
	}
	if k == nil || k.timer == nil && !now.Before(k.ends) {
		k = &kind{level: record.Level, message: record.Message, attrs: attrs, ends: now.Add(repeatWindow)}
		r.kinds[key] = k
	}
	return k
}

// forget drops the kinds whose window is over. mu is held.
func (r *repeats) forget(now time.Time) {
	for key, k := range r.kinds {
		if k.timer == nil && !now.Before(k.ends) {
			delete(r.kinds, key)
		}
	}
}

// summarize ends the window of a kind with suppressed lines.
func (r *repeats) summarize(k *kind) {
	r.mu.Lock()
	suppressed := k.suppressed
	k.written, k.suppressed, k.timer = 0, 0, nil
	r.mu.Unlock()
	if suppressed == 0 {
		return
	}
	// The time of the summary is the end of the window.
	record := slog.NewRecord(k.ends, k.level, "log lines suppressed", 0)
	record.AddAttrs(slog.String("line", k.message), slog.Int("suppressed", suppressed), slog.Duration("within", repeatWindow))
	record.AddAttrs(k.attrs...)
	// There is nowhere to report that the log cannot be written.
	_ = r.handler.Handle(context.Background(), record)
}

// close ends all windows.
func (r *repeats) close() {
	r.mu.Lock()
	r.closed = true
	var open []*kind
	for _, k := range r.kinds {
		if k.timer != nil && k.timer.Stop() {
			open = append(open, k)
		}
	}
	r.mu.Unlock()
	for _, k := range open {
		r.summarize(k)
		r.writing.Done()
	}
	r.writing.Wait()
}
