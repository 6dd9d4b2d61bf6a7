package server

import (
	"context"
	"log/slog"
	"sync"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// maxRefusals bounds how many ScaledObjects' errors are remembered.
const maxRefusals = 10_000

// refusals logs failing calls: once for each ScaledObject and code, for KEDA
// comes back with the same mistake at every poll.
type refusals struct {
	logger *slog.Logger

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
	if code == codes.Canceled {
		return
	}
	key := scaledObject{ref.GetNamespace(), ref.GetName()}
	r.mu.Lock()
	before, known := r.last[key]
	if code == codes.OK {
		delete(r.last, key)
	} else if known || len(r.last) < maxRefusals {
		r.last[key] = code
	}
	r.mu.Unlock()
	if code != codes.OK && before != code {
		r.logger.LogAttrs(ctx, slog.LevelWarn, "call refused", slog.String("method", method),
			slog.String("namespace", key.namespace), slog.String("scaledobject", key.name),
			slog.String("code", code.String()), slog.String("error", status.Convert(err).Message()))
	}
}

// unary is the interceptor of single calls.
func (r *refusals) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, request)
	switch request := request.(type) {
	case *pb.ScaledObjectRef:
		r.note(ctx, info.FullMethod, request, err)
	case *pb.GetMetricsRequest:
		r.note(ctx, info.FullMethod, request.GetScaledObjectRef(), err)
	}
	return reply, err
}
