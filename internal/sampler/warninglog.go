package sampler

import (
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// warnAgain is after how long a warning is logged again that has come back.
	repeatAfter = time.Hour
	// maxWarned is how many remarks about one queue are remembered.
	maxRemarks = 16
	// remarkMark stands between the remarks of a warning (see Reading.AddWarning).
	remarkSeparator = "; "
)

// warned is what the log has of the warnings of one query. A warning is made of remarks,
// and several queues have those of each. They come and go with the state of the queues, so
// it is the remarks that are remembered: the log gets a warning that has a new one.
type warningLog struct {
	logged []remark
	// hinted is when a hint was logged last.
	lastHint time.Time
}

// A remark is one that was logged.
type remark struct {
	text string
	at   time.Time
}

// news returns the warning of a result and its hint, if the log does not have them yet. A
// hint is found in the background, so it may come later than its warning; one that only
// changes is not logged again.
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

// add remembers a remark, and reports whether it is one that the log has not had of late.
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
