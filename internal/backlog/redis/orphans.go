package redis

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// orphanedAfter is the name of the parameter that bounds for how long orphaned work counts.
const orphanedAfter = "orphanedAfter"

// orphanGrace is for how long work without a time stamp has to be seen orphaned before it
// is reported: the commands of one read are no transaction, so two of its numbers may
// disagree for a moment.
const orphanGrace = time.Minute

// orphanParameter returns the parameter orphanedAfter of a layout. work completes its
// documentation: which work of this layout can be orphaned.
func orphanParameter(work string) backlog.Parameter {
	return backlog.Parameter{
		Name: orphanedAfter, Kind: backlog.KindDuration,
		Doc: "Work that nothing in the framework moves stops counting after this time: " + work + ". Without it such work counts for ever, with a warning.",
	}
}

// orphans collects the work of one reading that nothing in the framework will move.
type orphans struct {
	// after is for how long such work counts; zero is for ever.
	after time.Duration
	// counted and ignored are numbers of messages.
	counted, ignored int64
}

func newOrphans(p backlog.Params) *orphans {
	// The parser of triggers has checked the text.
	after, _ := time.ParseDuration(p.Get(orphanedAfter))
	return &orphans{after: after}
}

// add notes n messages that have been orphaned since the given moment, and returns how
// many of them count: all, or none once orphanedAfter has passed.
func (o *orphans) add(n int64, since, now time.Time) int64 {
	if o.after > 0 && now.Sub(since) >= o.after {
		o.ignored += n
		return 0
	}
	o.counted += n
	return n
}

// mark completes a reading whose counts are final. The text says what is missing, without
// anything that changes by itself.
func (o *orphans) mark(r *backlog.Reading, text string) {
	if o.counted+o.ignored == 0 {
		return
	}
	r.Orphaned += o.counted
	r.Ignored += o.ignored
	switch {
	case o.counted == 0:
		text += "; it has not counted since orphanedAfter has passed"
	case o.after == 0:
		text += "; set orphanedAfter to stop counting it"
	}
	if o.counted > 0 && r.Quality == backlog.Exact {
		r.Quality = backlog.UpperBound
	}
	r.AddWarning(text)
}
