package layout

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// OrphanedAfter is the name of the parameter that bounds for how long orphaned work counts.
const OrphanedAfter = "orphanedAfter"

// OrphanGrace is for how long work without a time stamp has to be seen orphaned before it
// is reported: the commands of one read are no transaction, so two of its numbers may
// disagree for a moment.
const OrphanGrace = time.Minute

// OrphanParameter returns the parameter OrphanedAfter of a layout. work completes its
// documentation: which work of this layout can be orphaned.
func OrphanParameter(work string) backlog.Parameter {
	return backlog.Parameter{
		Name: OrphanedAfter, Kind: backlog.KindDuration,
		Doc: "Work that nothing in the framework moves stops counting after this time: " + work + ". Without it such work counts for ever, with a warning.",
	}
}

// Orphans collects the work of one reading that nothing in the framework will move.
type Orphans struct {
	// After is for how long such work counts; zero is for ever.
	After time.Duration
	// Counted and ignored are numbers of messages.
	Counted, Ignored int64
}

// NewOrphans returns an empty collection, bounded by the parameter orphanedAfter.
func NewOrphans(p backlog.Params) *Orphans {
	// The parser of triggers has checked the text.
	after, _ := time.ParseDuration(p.Get(OrphanedAfter))
	return &Orphans{After: after}
}

// Add notes n messages that have been orphaned since the given moment, and returns how
// many of them count: all, or none once OrphanedAfter has passed.
func (o *Orphans) Add(n int64, since, now time.Time) int64 {
	if o.After > 0 && now.Sub(since) >= o.After {
		o.Ignored += n
		return 0
	}
	o.Counted += n
	return n
}

// Mark completes a reading whose counts are final. The text says what is missing, without
// anything that changes by itself.
func (o *Orphans) Mark(r *backlog.Reading, text string) {
	if o.Counted+o.Ignored == 0 {
		return
	}
	r.Orphaned += o.Counted
	r.Ignored += o.Ignored
	switch {
	case o.Counted == 0:
		text += "; it has not counted since orphanedAfter has passed"
	case o.After == 0:
		text += "; set orphanedAfter to stop counting it"
	}
	if o.Counted > 0 && r.Quality == backlog.Exact {
		r.Quality = backlog.UpperBound
	}
	r.AddWarning(text)
}
