package measure

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A cost is what a side has used until a moment.
type cost struct {
	at    time.Time
	redis redisserver.Cost
	// operator, adapter, controllers and scaler are processor time; the scaler's is zero where there is none.
	operator, adapter, controllers, scaler time.Duration
	// operatorMemory and scalerMemory are in bytes.
	operatorMemory, scalerMemory float64
}

// cost fills in c.
func (s *Side) cost(ctx context.Context, c *cost) (err error) {
	c.at = time.Now()
	if c.redis, err = s.Redis.Cost(ctx); err != nil {
		return err
	}
	cluster := s.Stage.Cluster
	err = errors.Join(
		used(cluster.Operator(), &c.operator, &c.operatorMemory),
		used(cluster.Adapter(), &c.adapter, nil),
		used(cluster.Controllers(), &c.controllers, nil),
	)
	if s.Scaler != nil {
		err = errors.Join(err, used(s.Scaler.Process(), &c.scaler, &c.scalerMemory))
	}
	return err
}

// used reads the processor time and, unless it is nil, the memory of a process.
func used(p *childprocess.Process, cpu *time.Duration, memory *float64) (err error) {
	if *cpu, err = p.CPU(); err != nil || memory == nil {
		return err
	}
	*memory, err = p.Resident()
	return err
}

// since is what was spent a second since an earlier cost: commands, without the one that asked for that cost, then
// milliseconds of processor time of Redis and of the operator, the operator's memory in megabytes as it is now, and
// milliseconds of the adapter and of the controllers.
func (c cost) since(earlier cost) []float64 {
	seconds := c.at.Sub(earlier.at).Seconds()
	cpu := func(now, before time.Duration) float64 { return milliseconds(now-before) / seconds }
	return []float64{
		float64(c.redis.Commands-earlier.redis.Commands-1) / seconds,
		cpu(c.redis.CPU, earlier.redis.CPU),
		cpu(c.operator, earlier.operator),
		c.operatorMemory / 1e6,
		cpu(c.adapter, earlier.adapter),
		cpu(c.controllers, earlier.controllers),
	}
}

// milliseconds is d as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
