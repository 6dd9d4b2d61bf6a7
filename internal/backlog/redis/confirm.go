package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// Confirm implements backlog.Confirmer: a server that is what it was, that tracks what was read, and
// that answers on both of its connections, has reported every change until then. Servers of a cluster
// that do not confirm, and searches that fail, leave the queries unconfirmed that depend on them.
func (s *source) Confirm(ctx context.Context) (time.Time, error) {
	began := time.Now()
	confirmed, err := s.topology.Confirm(ctx)
	if err != nil {
		return time.Time{}, s.notConfirmed(s.advised(err))
	}
	unsearched, searches := s.scanner.Failing()
	if len(confirmed.Failed) == 0 && searches == nil {
		return began, nil
	}
	faults := confirmed.Err()
	switch {
	case len(confirmed.Failed) > 0 && confirmed.None() && errors.Is(faults, errors.ErrUnsupported):
		return time.Time{}, errors.ErrUnsupported
	case len(confirmed.Failed) > 0 && confirmed.None():
		return time.Time{}, s.notConfirmed(s.advised(faults))
	}
	return began, &backlog.PartlyConfirmedError{
		Err: s.notConfirmed(errors.Join(faults, searches)),
		Unconfirmed: func(q backlog.Query) bool {
			keys, known := s.tracker.keysOf(q)
			return unsearched[q] || !known || confirmed.Covers(keys) != nil
		},
	}
}

func (s *source) notConfirmed(err error) error {
	return fmt.Errorf("confirm connection %q: %w", s.connection, err)
}

// keysOf returns the keys of a query; false if it is not known.
func (w *tracker) keysOf(q backlog.Query) (keys []string, known bool) {
	w.planning.Lock()
	defer w.planning.Unlock()
	p, known := w.plans[q]
	if !known {
		return nil, false
	}
	return slices.Clone(p.keys), true
}
