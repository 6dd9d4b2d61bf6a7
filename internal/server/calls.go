package server

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// Calls are what happens around every call: it is counted and timed, a panic in it
// becomes an error, and an error is logged once. All of it is in one interceptor, for
// each costs every call two allocations and a deeper stack.
type calls struct {
	refusals *refusals
	logger   *slog.Logger
	started  *prometheus.CounterVec
	handled  *prometheus.CounterVec
	seconds  *prometheus.HistogramVec

	// meters are those of the methods by their full names; filled before the first call.
	meters map[string]meter
}

// A meter is the metrics of one method, looked up once.
type meter struct {
	started prometheus.Counter
	// handled is by code.
	handled []prometheus.Counter
	seconds prometheus.Observer
}

// lastCode is the largest code of gRPC.
const lastCode = codes.Unauthenticated

func newCalls(refusals *refusals, logger *slog.Logger) *calls {
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	return &calls{
		refusals: refusals,
		logger:   logger,
		// The names are those that gRPC servers commonly have, so that dashboards fit.
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_started_total", Help: "Calls that began.",
		}, labels),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total", Help: "Calls that ended, by the code that they ended with.",
		}, append(labels, "grpc_code")),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grpc_server_handling_seconds", Help: "How long calls took.",
			Buckets: prometheus.ExponentialBuckets(0.00002, 4, 10),
		}, labels),
		meters: map[string]meter{},
	}
}

// Describe tells all metrics.
func (c *calls) Describe(ch chan<- *prometheus.Desc) {
	c.started.Describe(ch)
	c.handled.Describe(ch)
	c.seconds.Describe(ch)
}

// Collect reports all metrics.
func (c *calls) Collect(ch chan<- prometheus.Metric) {
	c.started.Collect(ch)
	c.handled.Collect(ch)
	c.seconds.Collect(ch)
}

// learn makes the meters of all methods of a server that does not serve yet.
func (c *calls) learn(server reflection.ServiceInfoProvider) {
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			kind := "unary"
			switch {
			case method.IsClientStream && method.IsServerStream:
				kind = "bidi_stream"
			case method.IsClientStream:
				kind = "client_stream"
			case method.IsServerStream:
				kind = "server_stream"
			}
			c.meters["/"+service+"/"+method.Name] = c.meter(kind, service, method.Name)
		}
	}
	c.meters[unknownMethod] = c.meter("bidi_stream", unknownMethod, unknownMethod)
}

// unknownMethod stands for every method that the server does not have: their names are the
// client's, and would be labels without end.
const unknownMethod = "unknown"

func (c *calls) meter(kind, service, method string) meter {
	m := meter{
		started: c.started.WithLabelValues(kind, service, method),
		seconds: c.seconds.WithLabelValues(kind, service, method),
	}
	for code := codes.OK; code <= lastCode; code++ {
		m.handled = append(m.handled, c.handled.WithLabelValues(kind, service, method, code.String()))
	}
	return m
}

// unimplemented answers a call of a method that the server does not have. Without it
// grpc-go repeats the name, however long it is, and past the interceptors.
func unimplemented(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	return status.Errorf(codes.Unimplemented, "unknown method %s", method)
}

// unary is the interceptor of single calls.
func (c *calls) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (reply any, err error) {
	m := c.meters[info.FullMethod]
	m.started.Inc()
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			reply, err = nil, c.panicked(ctx, p)
		}
		err = presentable(err)
		c.refusals.noteCall(ctx, info.FullMethod, request, err)
		m.end(began, err)
	}()
	return handler(ctx, request)
}

// stream is the interceptor of streams.
func (c *calls) stream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	m, known := c.meters[info.FullMethod]
	if !known {
		m = c.meters[unknownMethod]
	}
	m.started.Inc()
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = c.panicked(stream.Context(), p)
		}
		err = presentable(err)
		m.end(began, err)
	}()
	if strings.HasPrefix(info.FullMethod, reflectionPrefix) {
		return Briefly(server, stream, info, handler)
	}
	return handler(server, stream)
}

const (
	// reflectionPrefix begins the names of the methods of reflection, of any version.
	reflectionPrefix = "/grpc.reflection."
	// reflectionTime is how long a stream of reflection lasts. Its client keeps the request
	// open, and opens another stream if it has more to ask.
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

func (m meter) end(began time.Time, err error) {
	m.seconds.Observe(time.Since(began).Seconds())
	m.handled[min(status.Code(err), lastCode)].Inc()
}

// panicked makes an error of a panic: a fault in one call is none of the others.
func (c *calls) panicked(ctx context.Context, p any) error {
	c.logger.LogAttrs(ctx, slog.LevelError, "panic in a call", slog.Any("panic", p), slog.String("stack", stack()))
	return status.Error(codes.Internal, fmt.Sprintf("internal error: %v", p))
}

// maxFrames is how many callers of a panic are logged.
const maxFrames = 12

// stack returns the callers of a panic in one line, the innermost first, such as
// "policy.Decide policy.go:31 < server.(*Server).decide server.go:188".
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
