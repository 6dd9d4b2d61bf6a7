package postgresql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// errUnsupported is that of Confirm where changes may be missed.
var errUnsupported = errors.ErrUnsupported

// factsLife is for how long the server's facts are believed. Behind a pooler, or a name that moves, it
// may be another server by then.
const factsLife = 5 * time.Second

// facts are what a server says of itself.
type facts struct {
	version string
	standby bool
	// epoch names the cluster of databases and its timeline, which a promotion changes; empty if the
	// user may not see it.
	epoch string
}

// errStandby is a standby where none is wanted.
var errStandby = fmt.Errorf("%w: the server is a standby, whose data may be behind", backlog.ErrMismatch)

// standbyWarning is the warning of each reading of a standby.
const standbyWarning = "the server is a standby, whose data may be behind"

// refresh asks the server for its facts if they are old.
func (s *source) refresh(ctx context.Context) error {
	if s.link.isOpen() && time.Since(s.asked) < factsLife {
		return nil
	}
	var found facts
	err := s.link.transaction(ctx, s.cfg.statementTimeout, statement{
		sql: "SELECT current_setting('server_version'), pg_is_in_recovery()",
		row: func(values [][]byte) error {
			if len(values) != 2 {
				return fmt.Errorf("%w: the server answers %d columns for its version", backlog.ErrMismatch, len(values))
			}
			found.version, found.standby = string(values[0]), string(values[1]) == "t"
			return nil
		},
	})
	if err != nil {
		return failed(err)
	}
	if found.standby && !s.cfg.standby {
		return errStandby
	}
	// The right to these functions may be revoked.
	err = s.link.transaction(ctx, s.cfg.statementTimeout, statement{
		sql: "SELECT s.system_identifier || '/' || c.timeline_id FROM pg_control_system() s, pg_control_checkpoint() c",
		row: func(values [][]byte) error {
			if len(values) == 1 {
				found.epoch = string(values[0])
			}
			return nil
		},
	})
	if err = failed(err); err != nil && !errors.Is(err, backlog.ErrDenied) {
		return err
	}
	s.facts, s.asked = found, time.Now()
	server := "postgresql " + backlog.Line(found.version)
	s.server.Store(&server)
	return nil
}
