package redis

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// checkInterval is how long a server is read before it is asked again whether it still is
// what it was: REPLICAOF, CONFIG SET and a replica's loss of its master end no connection.
// The questions go with a read, so they cost no round trip.
const checkInterval = 2 * time.Second

// The questions that a server may refuse; bits of session.unanswered.
const (
	askServer uint8 = 1 << iota
	askRole
	askSwaps
	askRedirect
	askEvents
)

var (
	errOtherServer = errors.New("another server answers on the connection")
	errUntracked   = errors.New("the server has stopped tracking what is read")
	// errSwapped is what was armed in a database that has another number now. Redis reports
	// SWAPDB neither by tracking nor by notifications.
	errSwapped = errors.New("databases were swapped (SWAPDB)")
)

// A question is asked of a server that is read, again and again.
type question struct {
	bit  uint8
	args []any
	// judge returns an error if the session is not what it was.
	judge func(resp.Reply) error
}

// questions returns what to ask about s, whose changes are reported to e, nil if nothing
// listens. swaps asks as well how often databases were swapped. What the server has refused
// before is left out.
func (s *session) questions(cfg *config, e *ear, swaps bool) []question {
	all := []question{
		{askServer, []any{"INFO", "server"}, s.judgeServer},
		{askRole, []any{"INFO", "replication"}, func(r resp.Reply) error {
			return checkRole(resp.Text(r.Value), cfg.mode != modeStandalone)
		}},
	}
	if e != nil && s.tracked == e {
		all = append(all, question{askRedirect, []any{"CLIENT", "GETREDIR"}, func(r resp.Reply) error { return judgeRedirect(r, e) }})
	}
	if e != nil && e.mode == wakeKeyspace {
		all = append(all, question{askEvents, []any{"CONFIG", "GET", keyspaceSetting}, func(r resp.Reply) error { return judgeEvents(r, e) }})
	}
	if swaps && cfg.mode != modeCluster {
		all = append(all, question{askSwaps, []any{"INFO", "commandstats"}, s.judgeSwaps})
	}
	return slices.DeleteFunc(all, func(q question) bool { return s.unanswered&q.bit != 0 })
}

// overdue reports whether it is time to ask again.
func (s *session) overdue(now time.Time) bool { return now.Sub(s.checked) >= checkInterval }

// judge looks at the replies to questions. What the server refuses is not asked again.
func (s *session) judge(questions []question, replies []resp.Reply) error {
	s.checked = time.Now()
	for i, q := range questions {
		switch err := replies[i].Err; {
		case err == nil:
			if err := q.judge(replies[i]); err != nil {
				return err
			}
		case isFatal(err):
			return err
		default:
			s.unanswered |= q.bit
		}
	}
	return nil
}

func (s *session) judgeServer(r resp.Reply) error {
	if now := newIdentity(resp.Text(r.Value)); now.RunID != "" && s.server.RunID != "" && !now.IsSame(*s.server) {
		return fmt.Errorf("%w: %w", errLost, errOtherServer)
	}
	return nil
}

// judgeRedirect looks at the id of the connection to which changes are reported: -1 if
// the server does not track.
func judgeRedirect(r resp.Reply, e *ear) error {
	if id, known := r.Value.(int64); known && id != e.id {
		return fmt.Errorf("%w: %w", errLost, errUntracked)
	}
	return nil
}

// judgeEvents ends the listener if the server notifies of other events than before. The
// session stays.
func judgeEvents(r resp.Reply, e *ear) error {
	if flags, err := keyspaceFlagsOf(r); err == nil && flags != e.flags {
		e.end(fmt.Errorf("%w: notify-keyspace-events is %q now", errDeaf, flags))
	}
	return nil
}

func (s *session) judgeSwaps(r resp.Reply) error {
	before := s.swaps
	s.swaps = swapsOf(resp.Text(r.Value))
	if s.swaps != before {
		return errSwapped
	}
	return nil
}

// swapsOf returns what INFO commandstats says of SWAPDB; "" if it was never called.
func swapsOf(info string) string { return resp.InfoField(info, "cmdstat_swapdb") }
