package subject

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
)

// callers is how many calls are under way at a time.
const callers = 64

// Objects are ScaledObjects as KEDA sends them, each with a list of its own.
type objects struct {
	refs  []*pb.ScaledObjectRef
	lists []string
}

func newObjects(n int) objects {
	o := objects{refs: make([]*pb.ScaledObjectRef, n), lists: make([]string, n)}
	for i := range n {
		o.lists[i] = fmt.Sprintf("team-%d:orders", i)
		o.refs[i] = &pb.ScaledObjectRef{
			Name: fmt.Sprintf("orders-worker-%d", i), Namespace: fmt.Sprintf("team-%d", i%100),
			ScalerMetadata: map[string]string{
				"scalerAddress": "backlog-scaler.keda.svc:9090", "connection": "shared", "list": o.lists[i],
				"target": "10", "activation": "0", "maxStaleness": "1m", "missing": "zero",
			},
		}
	}
	return o
}

// each calls do for 0 to n-1, by so many callers at a time, and returns the first
// error, after which no more are called.
func each(n, callers int, do func(i int) error) error {
	var next atomic.Int64
	var first atomic.Pointer[error]
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for first.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := do(i); err != nil {
					first.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	running.Wait()
	if err := first.Load(); err != nil {
		return *err
	}
	return nil
}

// An activity is an open StreamIsActive.
type activity = grpc.ServerStreamingClient[pb.IsActiveResponse]

// watch opens the StreamIsActive of each object and waits for its first message.
func watch(ctx context.Context, s *side, o objects) ([]activity, error) {
	streams := make([]activity, len(o.refs))
	err := each(len(o.refs), callers, func(i int) (err error) {
		streams[i], err = s.StreamIsActive(ctx, o.refs[i])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open StreamIsActive: %w", err)
	}
	for _, stream := range streams {
		if _, err := stream.Recv(); err != nil {
			return nil, fmt.Errorf("receive the first message of StreamIsActive: %w", err)
		}
	}
	return streams, nil
}

// hold opens both streams of each object, as KEDA does, and waits for the first
// message of each.
func hold(ctx context.Context, s *side, o objects) ([]activity, error) {
	specs := make([]grpc.ServerStreamingClient[pb.GetMetricSpecResponse], len(o.refs))
	err := each(len(o.refs), callers, func(i int) (err error) {
		specs[i], err = s.StreamMetricSpec(ctx, o.refs[i])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open StreamMetricSpec: %w", err)
	}
	streams, err := watch(ctx, s, o)
	if err != nil {
		return nil, err
	}
	for _, stream := range specs {
		if _, err := stream.Recv(); err != nil {
			return nil, fmt.Errorf("receive the first message of StreamMetricSpec: %w", err)
		}
	}
	return streams, nil
}

// become waits until a stream says active or not, as wanted.
func become(stream activity, active bool) error {
	for {
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive from StreamIsActive: %w", err)
		}
		if reply.GetResult() == active {
			return nil
		}
	}
}
