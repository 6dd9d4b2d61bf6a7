package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// checkInterval is how long a server is read before it is checked again whether it still is
// what it was: REPLICAOF, CONFIG SET and a replica's loss of its master end no connection.
// The checks go with a read, so they cost no round trip.
const checkInterval = 2 * time.Second

// The checks that a server may refuse; bits of session.unanswered.
const (
	checkServer uint16 = 1 << iota
	checkReplication
	checkSwaps
	checkRedirect
	checkEvents
	checkMemory
	checkClients
	checkTracked
	checkTable
)

var (
	errOtherServer = errors.New("another server answers on the connection")
	errUntracked   = errors.New("the server has stopped tracking what is read")
	// errSwapped is what was armed in a database that has another number now. Redis reports
	// SWAPDB neither by tracking nor by notifications.
	errSwapped = errors.New("databases were swapped (SWAPDB)")
)

// A check is a command that shows whether a server still is what it was.
type check struct {
	bit  uint16
	args []any
	// verify returns an error if the session is not what it was.
	verify func(resp.Reply) error
}

// checks returns the checks of s, whose changes are reported to sub, nil if there is none.
// swaps adds how often databases were swapped. What the server has refused before is left out.
func (s *session) checks(cfg *conn.Config, sub *subscriber, swaps bool) []check {
	all := []check{
		{checkServer, []any{"INFO", "server"}, s.verifyServer},
		{checkReplication, []any{"INFO", "replication"}, func(r resp.Reply) error {
			return checkRole(resp.Text(r.Value), cfg.Mode != conn.ModeStandalone)
		}},
	}
	if sub != nil && s.tracked == sub {
		all = append(all, check{checkRedirect, []any{"CLIENT", "GETREDIR"}, sub.verifyRedirect})
	}
	if sub != nil && sub.mode == conn.WakeKeyspace {
		all = append(all, check{checkEvents, []any{"CONFIG", "GET", keyspaceSetting}, sub.verifyEvents})
	}
	if swaps && cfg.Mode != conn.ModeCluster {
		all = append(all, check{checkSwaps, []any{"INFO", "commandstats"}, s.verifySwaps})
	}
	return s.answered(all)
}

// answered returns the checks that the server has not refused before.
func (s *session) answered(checks []check) []check {
	return slices.DeleteFunc(checks, func(c check) bool { return s.unanswered&c.bit != 0 })
}

// isCheckDue reports whether it is time to check again.
func (s *session) isCheckDue(now time.Time) bool { return now.Sub(s.checked) >= checkInterval }

// verify looks at the replies to checks. What the server refuses is not asked again.
func (s *session) verify(checks []check, replies []resp.Reply) error {
	s.checked = time.Now()
	for i, c := range checks {
		switch err := replies[i].Err; {
		case err == nil:
			if err := c.verify(replies[i]); err != nil {
				return err
			}
		case isFatal(err):
			return err
		default:
			s.unanswered |= c.bit
		}
	}
	return nil
}

func (s *session) verifyServer(r resp.Reply) error {
	if now := conn.Identify(resp.Text(r.Value)); now.RunID != "" && s.Server.RunID != "" && !now.IsSame(*s.Server) {
		return fmt.Errorf("%w: %w", errLost, errOtherServer)
	}
	return nil
}

// verifyRedirect looks at the id of the connection to which changes are reported: -1 if
// the server does not track.
func (s *subscriber) verifyRedirect(r resp.Reply) error {
	if id, known := r.Value.(int64); known && id != s.ID {
		return fmt.Errorf("%w: %w", errLost, errUntracked)
	}
	return nil
}

// verifyEvents ends the subscriber if the server notifies of other events than before. The
// session stays.
func (s *subscriber) verifyEvents(r resp.Reply) error {
	if flags, err := keyspaceFlagsOf(r); err == nil && flags != s.flags {
		s.end(fmt.Errorf("%w: notify-keyspace-events is %q now", errSubscriberLost, flags))
	}
	return nil
}

func (s *session) verifySwaps(r resp.Reply) error {
	before := s.swaps
	s.swaps = swapsOf(resp.Text(r.Value))
	if s.swaps != before {
		return errSwapped
	}
	return nil
}

// swapsOf returns what INFO commandstats says of SWAPDB; "" if it was never called.
func swapsOf(info string) string { return resp.InfoField(info, "cmdstat_swapdb") }
