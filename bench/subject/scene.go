package subject

import (
	"context"
	"errors"

	"github.com/backlog-scaler/backlog-scaler/bench/program"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

// A Scene is a scaler with 10,000 triggers, whose StreamIsActive are open, each on a list of its own.
type Scene struct {
	Scaler *program.Server
	Redis  *redisserver.Server
	Lists  []string
}

// Set sets the scene for another package, and ends it when do has returned.
func Set(ctx context.Context, programs Programs, do func(Scene) error) (err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return err
	}
	ours, err := s.ours(ctx, r)
	if err != nil {
		return err
	}
	all := newObjects(triggers)
	if _, err := watch(ctx, ours, all); err != nil {
		return err
	}
	return do(Scene{Scaler: ours.process, Redis: r, Lists: all.lists})
}
