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

// maxErrors bounds how many ScaledObjects with errors are remembered.
const maxErrors = 10_000

// An errorLog logs rejected calls once for each ScaledObject and code, because KEDA repeats
// the same mistake at every poll.
type errorLog struct {
	logger *slog.Logger

	// count is the length of last, so that calls need no lock while there are no errors.
	count atomic.Int64
	// mu guards last: the code of the last error of each ScaledObject. It is a leaf.
	mu   sync.Mutex
	last map[scaledObject]codes.Code
}

type scaledObject struct{ namespace, name string }

func newErrorLog(logger *slog.Logger) *errorLog {
	return &errorLog{logger: logger, last: map[scaledObject]codes.Code{}}
}

// record logs err if its code is new for the ScaledObject. A success clears the code.
func (l *errorLog) record(ctx context.Context, method string, ref *pb.ScaledObjectRef, err error) {
	code := status.Code(err)
	if code == codes.Canceled || code == codes.OK && l.count.Load() == 0 {
		return
	}
	key := scaledObject{truncate(ref.GetNamespace(), maxNameLength), truncate(ref.GetName(), maxNameLength)}
	l.mu.Lock()
	before, known := l.last[key]
	if code == codes.OK {
		delete(l.last, key)
	} else if known || len(l.last) < maxErrors {
		l.last[key] = code
	}
	l.count.Store(int64(len(l.last)))
	l.mu.Unlock()
	if code != codes.OK && before != code {
		l.logger.LogAttrs(ctx, slog.LevelWarn, "request rejected", slog.String("method", method),
			slog.String("namespace", key.namespace), slog.String("scaledobject", key.name),
			slog.String("code", code.String()), slog.String("error", status.Convert(err).Message()))
	}
}

// recordCall records the outcome of a unary call if it is about a ScaledObject.
func (l *errorLog) recordCall(ctx context.Context, method string, request any, err error) {
	switch request := request.(type) {
	case *pb.ScaledObjectRef:
		l.record(ctx, method, request, err)
	case *pb.GetMetricsRequest:
		l.record(ctx, method, request.GetScaledObjectRef(), err)
	}
}
