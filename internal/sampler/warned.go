package sampler

import (
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// warnAgain is after how long a warning is logged again that has come back.
	warnAgain = time.Hour
	// maxWarned is how many warnings of one queue are remembered.
	maxWarned = 4
)

// warned are the warnings of one queue that the log has, the latest last. A queue whose
// warnings come and go is not logged each time.
type warned []warning

// A warning is one that was logged.
type warning struct {
	text string
	// hinted says that it was logged with a hint.
	hinted bool
	at     time.Time
}

// news returns the warning of a result and its hint, if the log does not have them yet. A
// hint is found in the background, so it may come later than its warning; one that only
// changes is not logged again.
func (w *warned) news(result backlog.Result, now time.Time) (text, hint string) {
	r := &result.Reading
	if result.Err != nil || r.Warning == "" {
		return "", ""
	}
	hinted := r.Hint != ""
	at := slices.IndexFunc(*w, func(known warning) bool { return known.text == r.Warning })
	if at >= 0 {
		known := (*w)[at]
		if (known.hinted || !hinted) && now.Sub(known.at) < warnAgain {
			return "", ""
		}
		hinted = hinted || known.hinted
		*w = slices.Delete(*w, at, at+1)
	}
	if len(*w) == maxWarned {
		*w = slices.Delete(*w, 0, 1)
	}
	*w = append(*w, warning{text: r.Warning, hinted: hinted, at: now})
	return r.Warning, r.Hint
}
