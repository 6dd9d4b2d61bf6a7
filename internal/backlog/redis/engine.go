package redis

import "github.com/backlog-scaler/backlog-scaler/internal/backlog"

// Engine returns the engine "redis".
func Engine() backlog.Engine {
	engine := backlog.Engine{
		Name:     "redis",
		Summary:  "Redis 6.0 and later and Valkey: one server, Sentinel or Cluster.",
		Settings: settings(),
		Check:    check,
		Open:     open,
	}
	for _, l := range layouts() {
		engine.Layouts = append(engine.Layouts, l.Layout)
	}
	return engine
}
