package postgresql

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/postgresql/layout"
)

// Engine returns the engine "postgresql".
func Engine() backlog.Engine {
	engine := backlog.Engine{
		Name:     "postgresql",
		Summary:  "Queues of job frameworks in PostgreSQL 13 and later, and what SQL counts.",
		Settings: settings(),
		Check:    check,
		Open:     open,
	}
	for _, l := range layout.All() {
		engine.Layouts = append(engine.Layouts, l.Layout)
	}
	engine.Layouts = append(engine.Layouts, queryLayout())
	return engine
}
