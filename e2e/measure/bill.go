package measure

import (
	"context"
	"errors"
	"time"

	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A bill is what a side has used until a moment.
type bill struct {
	at    time.Time
	redis redisserver.Bill
	// operator, adapter, controllers and scaler are processor time; the scaler's is zero where there is none.
	operator, adapter, controllers, scaler time.Duration
	// operatorMemory and scalerMemory are in bytes.
	operatorMemory, scalerMemory float64
}

// bill fills in b.
func (s *Side) bill(ctx context.Context, b *bill) (err error) {
	b.at = time.Now()
	if b.redis, err = s.Redis.Bill(ctx); err != nil {
		return err
	}
	cluster := s.Stage.Cluster
	err = errors.Join(
		used(cluster.Operator(), &b.operator, &b.operatorMemory),
		used(cluster.Adapter(), &b.adapter, nil),
		used(cluster.Controllers(), &b.controllers, nil),
	)
	if s.Scaler != nil {
		err = errors.Join(err, used(s.Scaler.Process(), &b.scaler, &b.scalerMemory))
	}
	return err
}

// used tells the processor time and, unless it is nil, the memory of a process.
func used(p *childprocess.Process, cpu *time.Duration, memory *float64) (err error) {
	if *cpu, err = p.CPU(); err != nil || memory == nil {
		return err
	}
	*memory, err = p.Resident()
	return err
}

// since is what was spent a second since an earlier bill: commands, without the one that asked for that bill, then
// milliseconds of processor time of Redis and of the operator, the operator's memory in megabytes as it is now, and
// milliseconds of the adapter and of the controllers.
func (b bill) since(earlier bill) []float64 {
	seconds := b.at.Sub(earlier.at).Seconds()
	cpu := func(now, before time.Duration) float64 { return milliseconds(now-before) / seconds }
	return []float64{
		float64(b.redis.Commands-earlier.redis.Commands-1) / seconds,
		cpu(b.redis.CPU, earlier.redis.CPU),
		cpu(b.operator, earlier.operator),
		b.operatorMemory / 1e6,
		cpu(b.adapter, earlier.adapter),
		cpu(b.controllers, earlier.controllers),
	}
}

// milliseconds is d as a number.
func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
