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
	// repeatWindow is the time in which lines of one kind are counted.
	repeatWindow = time.Minute
	// repeatMost is how many lines of one kind are written in it, and errorMost how many
	// of the level error: what is an error is seldom, and what is lost of it matters.
	repeatMost, errorMost = 10, 100
	// maxKinds is how many kinds are counted each for itself. What is of others counts as one.
	maxKinds = 1000
)

// kindKeys are the attributes that, next to message and level, make the kind of a line.
// Their values are few: connections and their servers, namespaces, names of errors, libraries.
func kindKeys() []string { return []string{"connection", "address", "namespace", "code", "library"} }

// repeats counts the lines of each kind. Of a kind that repeats itself the first lines of
// each window are written, and at its end one that says how many were left out.
type repeats struct {
	// handler writes the summaries.
	handler slog.Handler

	// mu guards what follows. It is a leaf, and never held while a line is written.
	mu     sync.Mutex
	kinds  map[string]*kind
	closed bool
	// writing are the summaries under way.
	writing sync.WaitGroup
}

// A kind is what is known of lines that are alike, in the present window.
type kind struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
	written int
	left    int
	// ends is when the window is over. Its timer writes the summary if anything was left out.
	ends  time.Time
	timer *time.Timer
}

// A repeatHandler is a slog.Handler that asks repeats.
type repeatHandler struct {
	slog.Handler

	repeats *repeats
	// attrs are those of kindKeys that the logger has.
	attrs []slog.Attr
	// grouped says that further attributes are inside of a group, and none of kindKeys.
	grouped bool
}

func newRepeats(handler slog.Handler) *repeatHandler {
	return &repeatHandler{Handler: handler, repeats: &repeats{handler: handler, kinds: map[string]*kind{}}}
}

// Handle writes a record unless there were too many like it.
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
	k.left++
	if k.timer == nil {
		r.writing.Add(1)
		k.timer = time.AfterFunc(max(0, k.ends.Sub(now)), func() {
			defer r.writing.Done()
			r.summarize(k)
		})
	}
	return false
}

// find returns the kind of a record, in its present window. mu is held.
func (r *repeats) find(key string, record slog.Record, attrs []slog.Attr, now time.Time) *kind {
	k := r.kinds[key]
	if k == nil && len(r.kinds) >= maxKinds {
		r.forget(now)
		if len(r.kinds) >= maxKinds {
			key = record.Level.String()
			k, record, attrs = r.kinds[key], slog.Record{Level: record.Level, Message: "other lines"}, nil
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

// summarize ends the window of a kind of which lines were left out.
func (r *repeats) summarize(k *kind) {
	r.mu.Lock()
	left := k.left
	k.written, k.left, k.timer = 0, 0, nil
	r.mu.Unlock()
	if left == 0 {
		return
	}
	// A line of its own time: the last one that was left out.
	record := slog.NewRecord(k.ends, k.level, "lines left out", 0)
	record.AddAttrs(slog.String("line", k.message), slog.Int("left_out", left), slog.Duration("within", repeatWindow))
	record.AddAttrs(k.attrs...)
	// A log that cannot be written has no other place to say so.
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
