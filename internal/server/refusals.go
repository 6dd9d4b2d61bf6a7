package server

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxRefusals bounds how many ScaledObjects' errors are remembered.
const maxRefusals = 10_000

// refusals logs failing calls: once for each ScaledObject and code, for KEDA
// comes back with the same mistake at every poll.
type refusals struct {
	logger *slog.Logger

	// count is how many are in last, so that calls need not look while there are none.
	count atomic.Int64
	// mu guards last.
	mu   sync.Mutex
	last map[scaledObject]codes.Code
}

type scaledObject struct{ namespace, name string }

func newRefusals(logger *slog.Logger) *refusals {
	return &refusals{logger: logger, last: map[scaledObject]codes.Code{}}
}

// note logs err if that is news for the ScaledObject.
func (r *refusals) note(ctx context.Context, method string, ref *pb.ScaledObjectRef, err error) {
	code := status.Code(err)
	if code == codes.Canceled || code == codes.OK && r.count.Load() == 0 {
		return
	}
	key := scaledObject{cut(ref.GetNamespace(), maxShownName), cut(ref.GetName(), maxShownName)}
	r.mu.Lock()
	before, known := r.last[key]
	if code == codes.OK {
		delete(r.last, key)
	} else if known || len(r.last) < maxRefusals {
		r.last[key] = code
	}
	r.count.Store(int64(len(r.last)))
	r.mu.Unlock()
	if code != codes.OK && before != code {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "call refused", slog.String("method", method),
			slog.String("namespace", key.namespace), slog.String("scaledobject", key.name),
			slog.String("code", code.String()), slog.String("error", status.Convert(err).Message()))
	}
}

// noteCall is note for a single call, if it is about a ScaledObject.
func (r *refusals) noteCall(ctx context.Context, method string, request any, err error) {
	switch request := request.(type) {
	case *pb.ScaledObjectRef:
		r.note(ctx, method, request, err)
	case *pb.GetMetricsRequest:
		r.note(ctx, method, request.GetScaledObjectRef(), err)
	}
}
