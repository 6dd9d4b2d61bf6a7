package layout

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// standardTable is the table of Laravel's configuration "queue.connections.database.table".
const standardTable = "jobs"

// tableName is what the scaler accepts as the name of a table. It is quoted in each statement, and
// limited so that no name needs escapes.
var tableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]*$`)

// maxTable is the length of the name of a table in MySQL, in bytes.
const maxTable = 64

func isTable(name string) bool { return len(name) <= maxTable && tableName.MatchString(name) }

// Laravel is a queue of Laravel's database driver:
// https://github.com/laravel/framework/blob/13.x/src/Illuminate/Queue/DatabaseQueue.php.
//
// A job is available from available_at on, and reserved_at is set while a worker has it. A job whose
// reservation is older than retry_after is handed out again. It is deleted when it is done. Times are
// seconds of Unix time.
func Laravel() sqlqueue.Layout {
	return sqlqueue.Layout{
		Layout: backlog.Layout{
			Name:    "laravel",
			Summary: "A queue of Laravel's database driver; on Redis it is a layout of that engine. The user needs SELECT on the table.",
			Queue:   "name of the queue, such as default",
			Parameters: []backlog.Parameter{
				{Name: "table", Kind: backlog.KindText, Default: standardTable, Doc: "Table of the jobs."},
			},
			Check: func(q backlog.Query) error {
				if table := q.Params.Get("table"); table != "" && !isTable(table) {
					return fmt.Errorf("table: %q, want letters, digits, _ and $, at most 64", table)
				}
				return nil
			},
			Ready:    "jobs whose time has come and that are not reserved",
			InFlight: "reserved jobs, those of workers that are gone included: they are handed out again after `retry_after`",
			Oldest:   "exact: since when the oldest of the ready jobs could be run",
		},
		Counts: func(p backlog.Params) sqlqueue.Counts {
			table := cmp.Or(p.Get("table"), standardTable)
			if !isTable(table) {
				// Check has refused it.
				table = standardTable
			}
			const of = "FROM T j WHERE j.queue = {queue}"
			c := sqlqueue.Counts{
				Exists:   "EXISTS (SELECT 1 " + of + ")",
				Ready:    of + " AND j.reserved_at IS NULL AND j.available_at <= UNIX_TIMESTAMP()",
				InFlight: of + " AND j.reserved_at IS NOT NULL",
				Oldest:   "SELECT UNIX_TIMESTAMP(NOW(6)) - MIN(j.available_at) " + of + " AND j.reserved_at IS NULL AND j.available_at <= UNIX_TIMESTAMP()",
				Next:     "SELECT MIN(j.available_at) - UNIX_TIMESTAMP(NOW(6)) " + of + " AND j.reserved_at IS NULL AND j.available_at > UNIX_TIMESTAMP()",
			}
			for _, fragment := range []*string{&c.Exists, &c.Ready, &c.InFlight, &c.Oldest, &c.Next} {
				*fragment = strings.ReplaceAll(*fragment, "FROM T ", "FROM `"+table+"` ")
			}
			return c
		},
	}
}
