package mysql

import (
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/sqlqueue"
)

// Engine returns the engine "mysql".
func Engine() backlog.Engine {
	engine := backlog.Engine{
		Name:     "mysql",
		Summary:  "Queues of job frameworks in MySQL 8.0 and MariaDB 10.6 and later, and what SQL counts.",
		Settings: settings(),
		Check:    check,
		Open:     open,
	}
	for _, l := range layout.All() {
		engine.Layouts = append(engine.Layouts, l.Layout)
	}
	engine.Layouts = append(engine.Layouts, sqlqueue.QueryLayout(settingAllowQueries))
	return engine
}
