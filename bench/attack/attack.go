// Package attack is a tenant that overloads a scaler: one namespace at one of its limits, at a fixed pace. The benchmark runs it as a process of its own, of a
// low priority, next to a namespace that is measured.
package attack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	goredis "github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Ready is the line that an attack prints when it is at its limit.
const Ready = "ready"

// namespace is that of the tenant, and prefix that of its queues.
const (
	namespace = "attacker"
	prefix    = "attacker:"
)

// An Attack is one way to be a bad neighbour.
type Attack struct {
	// Name has no spaces, such as "triggers".
	Name string
	// Load describes the requests and their rate.
	Load string

	run func(ctx context.Context, a *attacker) error
}

// All are the attacks, in the order in which they are measured.
func All() []Attack {
	return []Attack{
		{"triggers", "2,000 triggers with work, 2,667 calls/s", triggers},
		{"streams", "6,000 streams, 250/s closed and opened again, 250/s too many", streams},
		{"metadata", "200 new triggers/s of 64 KiB with 20 patterns and 100 weights, 4 clients", metadata},
		{"refused", "10,000 triggers with faults, 2,000 calls/s", refusals},
		{"patterns", "a pattern over 10,000 queues with work, 10 calls/s", patterns},
		{"headers", "100,000 calls without a body, 20,000/s on one connection", headers},
		{"hold", "hold of 1h over 1,000 queues that change each second, 10 calls/s", hold},
	}
}

// An attacker is the tenant.
type attacker struct {
	pb.ExternalScalerClient

	// scaler and redis are what is attacked.
	scaler string
	redis  *goredis.Client
	// ready says that the limit is reached.
	ready func()
	// requests counts all calls, refused those that failed.
	requests, refused atomic.Int64
}

// Run attacks until ctx ends. out gets the line Ready, and at the end what was asked.
func Run(ctx context.Context, name, scaler, redis string, out io.Writer) (err error) {
	for _, attack := range All() {
		if attack.Name != name {
			continue
		}
		conn, err := grpc.NewClient(scaler, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return fmt.Errorf("connect to %s: %w", scaler, err)
		}
		a := &attacker{
			ExternalScalerClient: pb.NewExternalScalerClient(conn), scaler: scaler,
			redis: goredis.NewClient(&goredis.Options{Addr: redis, Protocol: 2, DisableIdentity: true}),
			ready: sync.OnceFunc(func() { fmt.Fprintln(out, Ready) }),
		}
		began := time.Now()
		err = attack.run(ctx, a)
		fmt.Fprintf(out, "%.0f requests/s, %d refused\n", float64(a.requests.Load())/time.Since(began).Seconds(), a.refused.Load())
		return errors.Join(err, conn.Close(), a.redis.Close())
	}
	return fmt.Errorf("there is no attack %q", name)
}

// count counts one answer.
func (a *attacker) count(err error) {
	a.requests.Add(1)
	if err != nil {
		a.refused.Add(1)
	}
}

// paced calls do so many times a second until ctx ends, with the numbers from 0 on, by so
// many callers. A time at which all callers are busy is left out, so the load is bounded.
func paced(ctx context.Context, rate, callers int, do func(i int)) {
	const tick = 10 * time.Millisecond
	work := make(chan int)
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began, next := time.Now(), 0
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			continue
		}
		due := int(time.Since(began).Seconds() * float64(rate))
		// What was missed is not made up for.
		next = max(next, due-max(1, rate/10))
		for ; next < due && ctx.Err() == nil; next++ {
			select {
			case work <- next:
			case <-ctx.Done():
			case <-time.After(tick):
			}
		}
	}
	close(work)
	running.Wait()
}

// ref is a ScaledObject of the tenant.
func ref(name string, metadata map[string]string) *pb.ScaledObjectRef {
	all := map[string]string{"scalerAddress": "backlog-scaler.keda.svc:9090", "connection": "shared", "target": "10"}
	maps.Copy(all, metadata)
	return &pb.ScaledObjectRef{Name: name, Namespace: namespace, ScalerMetadata: all}
}

// fill puts a message into each queue, in few round trips.
func (a *attacker) fill(ctx context.Context, queues []string) error {
	pipe := a.redis.Pipeline()
	for i, queue := range queues {
		pipe.RPush(ctx, queue, "x")
		if i%1000 == 999 || i == len(queues)-1 {
			if _, err := pipe.Exec(ctx); err != nil {
				return fmt.Errorf("fill queues: %w", err)
			}
		}
	}
	return nil
}
