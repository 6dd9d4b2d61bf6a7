package sampler

import (
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// repeatAfter is the time after which a recurring warning is logged again.
	repeatAfter = time.Hour
	// maxRemarks is how many remarks about one queue are remembered.
	maxRemarks = 16
	// remarkSeparator separates the remarks of a warning (see Reading.AddWarning).
	remarkSeparator = "; "
)

// A warningLog records which warnings of one query were logged. A warning consists of remarks,
// and those of several queues are joined. They come and go with the state of the queues, so the
// remarks are recorded: a warning is logged if one of its remarks is new.
type warningLog struct {
	logged []remark
	// lastHint is when a hint was last logged.
	lastHint time.Time
}

// A remark is one that was logged.
type remark struct {
	text string
	at   time.Time
}

// newText returns the warning of a result and its hint, unless both were logged. A hint is
// found in the background, so it may come later than its warning. A hint that only changes is
// not logged again.
func (w *warningLog) newText(result backlog.Result, now time.Time) (text, hint string) {
	r := &result.Reading
	isNew := r.Hint != "" && now.Sub(w.lastHint) >= repeatAfter
	for text := range strings.SplitSeq(r.Warning, remarkSeparator) {
		isNew = w.log(text, now) || isNew
	}
	if !isNew {
		return "", ""
	}
	if r.Hint != "" {
		w.lastHint = now
	}
	return r.Warning, r.Hint
}

// log records a remark, and reports whether it was not logged within repeatAfter.
func (w *warningLog) log(text string, now time.Time) bool {
	at := slices.IndexFunc(w.logged, func(known remark) bool { return known.text == text })
	switch {
	case at >= 0 && now.Sub(w.logged[at].at) < repeatAfter:
		return false
	case at >= 0:
		w.logged = slices.Delete(w.logged, at, at+1)
	case len(w.logged) == maxRemarks:
		w.logged = slices.Delete(w.logged, 0, 1)
	}
	w.logged = append(w.logged, remark{text: text, at: now})
	return true
}
