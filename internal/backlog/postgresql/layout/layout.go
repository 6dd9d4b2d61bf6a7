// Package layout knows where job frameworks keep their queues in PostgreSQL: one file for each.
package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// All returns the layouts of the frameworks.
func All() []sqlqueue.Layout {
	return []sqlqueue.Layout{
		River(), PGMQ(), Oban(), GraphileWorker(), GoodJob(), SolidQueue(), PgBoss(), BullMQ(), Procrastinate(),
	}
}

// utc is the time of the server in columns without a time zone, which Rails and Ecto fill in UTC.
const utc = "(now() AT TIME ZONE 'utc')"

// schemaName is what the scaler accepts as the name of a schema. It is quoted in each statement, and
// limited so that no name needs escapes.
var schemaName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$-]*$`)

// maxSchema is the length of a name in PostgreSQL, in bytes.
const maxSchema = 63

func isSchema(name string) bool { return len(name) <= maxSchema && schemaName.MatchString(name) }

// schemaParameter returns the parameter that names the schema.
func schemaParameter(standard string) backlog.Parameter {
	return backlog.Parameter{Name: "schema", Kind: backlog.KindText, Default: standard, Doc: "Schema of the framework's tables."}
}

// checkSchema reports a schema that is no name.
func checkSchema(q backlog.Query) error {
	if schema := q.Params.Get("schema"); schema != "" && !isSchema(schema) {
		return fmt.Errorf("schema: %q, want letters, digits, _, $ and -, at most 63", schema)
	}
	return nil
}

// A schema is the quoted name of a schema.
type schema string

// schemaOf returns the schema of a query, and its name.
func schemaOf(p backlog.Params, standard string) (quoted schema, name string) {
	name = cmp.Or(p.Get("schema"), standard)
	if !isSchema(name) {
		// checkSchema has refused it.
		name = standard
	}
	return schema(`"` + name + `"`), name
}

// fill replaces "S." by the schema in a fragment.
func (s schema) fill(fragment string) string {
	return strings.ReplaceAll(fragment, "S.", string(s)+".")
}

// counts replaces "S." in all fragments.
func (s schema) counts(c sqlqueue.Counts) sqlqueue.Counts {
	for _, fragment := range []*string{
		&c.Exists, &c.Ready, &c.Due, &c.InFlight, &c.Oldest, &c.Next, &c.Paused, &c.Notifies, &c.Quiet, &c.Enqueued, &c.MaxUseful,
	} {
		*fragment = s.fill(*fragment)
	}
	return c
}

// fieldOf returns a reader of a payload that is a JSON object: the text of one field.
func fieldOf(name string) func(string) (string, bool) {
	return func(payload string) (string, bool) {
		var object map[string]json.RawMessage
		if json.Unmarshal([]byte(payload), &object) != nil {
			return "", false
		}
		var text string
		if json.Unmarshal(object[name], &text) != nil {
			return "", false
		}
		return text, true
	}
}

// verbatim is a payload that is the name of the queue.
func verbatim(payload string) (string, bool) { return payload, payload != "" }

// fixed returns the channel that all queues share.
func fixed(channel string) func(backlog.Params, string) string {
	return func(backlog.Params, string) string { return channel }
}
