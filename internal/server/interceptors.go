package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// interceptors record metrics, log errors and recover panics of all calls, in this order
// from the outside.
type interceptors struct {
	errorLog *errorLog
	logger   *slog.Logger
	metrics  *grpcprom.ServerMetrics
	// methods are the full names of the methods that the server has; written before it serves.
	methods map[string]bool
}

func newInterceptors(errors *errorLog, logger *slog.Logger) *interceptors {
	buckets := grpcprom.WithHistogramBuckets(prometheus.ExponentialBuckets(0.00002, 4, 10))
	return &interceptors{
		errorLog: errors,
		logger:   logger,
		metrics:  grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram(buckets)),
		methods:  map[string]bool{},
	}
}

// options returns the options of a gRPC server that has the interceptors.
func (i *interceptors) options() []grpc.ServerOption {
	recovered := recovery.WithRecoveryHandlerContext(i.panicked)
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(i.metrics.UnaryServerInterceptor(), i.logUnary, recovery.UnaryServerInterceptor(recovered)),
		grpc.ChainStreamInterceptor(i.boundMethods(i.metrics.StreamServerInterceptor()), presentStreamError, recovery.StreamServerInterceptor(recovered), Briefly),
		grpc.UnknownServiceHandler(unimplemented),
	}
}

// preregister creates the series of all methods of a server that does not serve yet.
func (i *interceptors) preregister(server reflection.ServiceInfoProvider) {
	i.metrics.InitializeMetrics(server)
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			i.methods["/"+service+"/"+method.Name] = true
		}
	}
}

// unknownMethod replaces the names of all methods that the server does not have: the client
// chooses them, so as labels they would have no bound.
const unknownMethod = "/unknown/unknown"

// boundMethods passes on calls under the names of methods that the server has, or under
// unknownMethod.
func (i *interceptors) boundMethods(next grpc.StreamServerInterceptor) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if !i.methods[info.FullMethod] {
			bound := *info
			bound.FullMethod = unknownMethod
			info = &bound
		}
		return next(server, stream, info, handler)
	}
}

// unimplemented answers a call of a method that the server does not have. Otherwise grpc-go
// answers past the interceptors and repeats the name, however long it is.
func unimplemented(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

// logUnary makes the error of a unary call presentable and logs it if it is new. Streams log
// their errors themselves, because interceptors do not see their request.
func (i *interceptors) logUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	reply, err := handler(ctx, request)
	err = presentable(err)
	i.errorLog.recordCall(ctx, info.FullMethod, request, err)
	return reply, err
}

// presentStreamError makes the error of a stream presentable.
func presentStreamError(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return presentable(handler(server, stream))
}

const (
	// reflectionPrefix begins the names of the methods of reflection, of any version.
	reflectionPrefix = "/grpc.reflection."
	// reflectionTime is how long a stream of reflection lasts. Its client keeps the request
	// open, and opens another stream for further requests.
	reflectionTime = 5 * time.Second
)

// Briefly is an interceptor that ends a stream of reflection after reflectionTime. The
// handler ends with the stream, because its context does. A panic in it becomes an error.
func Briefly(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
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
