package mysql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// factsLife is for how long the server's facts are believed. Behind a proxy, or a name that moves, it
// may be another server by then.
const factsLife = 5 * time.Second

// facts are what a server says of itself.
type facts struct {
	mariaDB, replica bool
	// epoch names the server.
	epoch string
}

// errReplica is a replica where none is wanted.
var errReplica = fmt.Errorf("%w: the server is read-only, as replicas are, whose data may be behind", backlog.ErrMismatch)

// replicaWarning is the warning of each reading of a replica.
const replicaWarning = "the server is read-only, as replicas are, whose data may be behind"

// refresh asks the server for its facts if they are old.
func (s *source) refresh(ctx context.Context) error {
	if time.Since(s.asked) < factsLife {
		return nil
	}
	var version, epoch string
	var readOnly bool
	// The version is that of a proxy where there is one.
	row := s.db.QueryRowContext(ctx, "SELECT VERSION(), CONCAT(@@hostname, ':', @@port, '/', @@server_id), @@GLOBAL.read_only")
	if err := row.Scan(&version, &epoch, &readOnly); err != nil {
		return failed(err)
	}
	if readOnly && !s.cfg.replica {
		return errReplica
	}
	s.facts = facts{mariaDB: strings.Contains(version, "MariaDB"), replica: readOnly, epoch: epoch}
	s.asked = time.Now()
	name := "mysql "
	if s.facts.mariaDB {
		name = "mariadb "
	}
	version, _, _ = strings.Cut(version, "-")
	server := name + backlog.Line(version)
	s.server.Store(&server)
	return nil
}

// limited returns a SELECT that the server itself ends in time.
func (s *source) limited(text string) string {
	if s.facts.mariaDB {
		return fmt.Sprintf("SET STATEMENT max_statement_time=%g FOR %s", s.cfg.statementTimeout.Seconds(), text)
	}
	return fmt.Sprintf("SELECT /*+ MAX_EXECUTION_TIME(%d) */%s", s.cfg.statementTimeout.Milliseconds(), strings.TrimPrefix(text, "SELECT"))
}
