package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// interceptors record metrics, log errors and recover panics. One interceptor does all of it:
// each further one costs a call two allocations and a deeper stack, which has to grow.
type interceptors struct {
	errorLog *errorLog
	logger   *slog.Logger
	metrics  *callMetrics
}

func newInterceptors(errors *errorLog, logger *slog.Logger) *interceptors {
	return &interceptors{errorLog: errors, logger: logger, metrics: newCallMetrics()}
}

// options returns the options of a gRPC server that has the interceptors.
func (i *interceptors) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(i.unary),
		grpc.StreamInterceptor(i.stream),
		grpc.UnknownServiceHandler(unimplemented),
	}
}

// unary is the interceptor of unary calls.
func (i *interceptors) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	m, began := i.metrics.begin(info.FullMethod), time.Now()
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, i.panicked(ctx, p)
		}
		err = presentable(err)
		i.errorLog.recordCall(ctx, info.FullMethod, request, err)
		m.end(began, err)
	}()
	return handler(ctx, request)
}

// stream is the interceptor of streams. Streams log their errors themselves, because an
// interceptor does not see their request.
func (i *interceptors) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	m, began := i.metrics.begin(info.FullMethod), time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = i.panicked(stream.Context(), p)
		}
		err = presentable(err)
		m.end(began, err)
	}()
	return briefly(server, stream, info, handler)
}

// unimplemented answers a call of a method that the server does not have. Otherwise grpc-go
// answers past the interceptors and repeats the name, however long it is.
func unimplemented(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

const (
	// reflectionPrefix begins the names of the methods of reflection, of any version.
	reflectionPrefix = "/grpc.reflection."
	// reflectionTime is how long a stream of reflection lasts. Its client keeps the request
	// open, and opens another stream for further requests.
	reflectionTime = 5 * time.Second
)

// briefly is an interceptor that ends a stream of reflection after reflectionTime. The
// handler ends with the stream, because its context does. A panic in it becomes an error.
func briefly(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	if !strings.HasPrefix(info.FullMethod, reflectionPrefix) {
		return handler(server, stream)
	}
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				ended <- status.Error(codes.Internal, fmt.Sprintf("internal error: %v", p))
			}
		}()
		ended <- handler(server, stream)
	}()
	timer := time.NewTimer(reflectionTime)
	defer timer.Stop()
	select {
	case err := <-ended:
		return err
	case <-timer.C:
		return nil
	}
}

// panicked returns the error of a call that panicked, and logs the panic. Other calls go on.
func (i *interceptors) panicked(ctx context.Context, p any) error {
	i.logger.LogAttrs(ctx, slog.LevelError, "panic in a call", slog.Any("panic", p), slog.String("stack", stack()))
	return status.Error(codes.Internal, fmt.Sprintf("internal error: %v", p))
}

// maxFrames is how many callers of a panic are logged.
const maxFrames = 12

// stack returns the callers of a panic in one line, the innermost first, such as
// "decision.Decide decision.go:31 < server.(*Server).decide server.go:188".
func stack() string {
	var callers [2 * maxFrames]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers[:])])
	var parts []string
	panicked := false
	for frame, more := frames.Next(); len(parts) < maxFrames; frame, more = frames.Next() {
		if panicked && frame.Function != "" {
			parts = append(parts, fmt.Sprintf("%s %s:%d", filepath.Base(frame.Function), filepath.Base(frame.File), frame.Line))
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			break
		}
	}
	return strings.Join(parts, " < ")
}
