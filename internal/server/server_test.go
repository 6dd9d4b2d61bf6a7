package server_test

import (
	"context"
	"fmt"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A world is a server with its sampler on a fake engine, and a client, in a
// bubble of synctest time.
type world struct {
	*testing.T
	fake     *backlogtest.Fake
	sampler  *sampler.Sampler
	server   *server.Server
	health   *server.Health
	registry *prometheus.Registry
	conn     *grpc.ClientConn
	client   pb.ExternalScalerClient
	// dial opens one more connection to the gRPC port.
	dial func() (net.Conn, error)
}

// observer gives the sampler the server's shape.
type observer struct{ *sampler.Sampler }

func (o observer) Subscribe(want backlog.Interest) (server.Subscription, error) {
	return o.Sampler.Subscribe(want)
}

func connections() []backlog.Connection {
	return []backlog.Connection{{Name: "main", Engine: "fake", Namespaces: []string{"shop", "bank"}}}
}

func inWorld(t *testing.T, options server.Options, test func(world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := backlogtest.NewFake()
		engines := []backlog.Engine{fake.Engine()}
		w := world{T: t, fake: fake, sampler: sampler.New(engines, sampler.Options{}), registry: prometheus.NewRegistry()}
		defer w.sampler.Close()
		if err := w.sampler.Apply(t.Context(), connections()); err != nil {
			t.Fatal(err)
		}
		w.server = server.New(observer{w.sampler}, trigger.NewCatalog(connections(), engines), options)
		w.registry.MustRegister(w.server.Collectors()...)
		w.health = server.NewHealth(w.sampler.Stuck)
		g := server.NewGRPC(w.server, w.health, nil, w.registry)
		listener := bufconn.Listen(1 << 16)
		served := make(chan error, 1)
		go func() { served <- g.Serve(listener) }()
		conn, err := grpc.NewClient("passthrough:///scaler",
			grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		w.conn, w.client, w.dial = conn, pb.NewExternalScalerClient(conn), listener.Dial
		test(w)
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// ref is a trigger on a queue, with further metadata in pairs.
func ref(queue string, pairs ...string) *pb.ScaledObjectRef {
	metadata := map[string]string{"scalerAddress": "scaler:9090", "connection": "main", "queue": queue}
	for i := 0; i < len(pairs); i += 2 {
		metadata[pairs[i]] = pairs[i+1]
	}
	return &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: metadata}
}

func (w world) isActive(r *pb.ScaledObjectRef) bool {
	w.Helper()
	reply, err := w.client.IsActive(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	return reply.GetResult()
}

func (w world) value(r *pb.ScaledObjectRef) *pb.MetricValue {
	w.Helper()
	reply, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "asked"})
	if err != nil {
		w.Fatal(err)
	}
	return reply.GetMetricValues()[0]
}

func TestCalls(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.Set("jobs", backlog.Reading{Ready: 11, Due: 2, InFlight: backlog.Exactly(1)})
		w.fake.Set("waiting", backlog.Reading{Ready: 14})
		w.fake.Set("huge", backlog.Reading{Ready: math.MaxInt64})
		for _, tc := range []struct {
			name   string
			ref    *pb.ScaledObjectRef
			active bool
			value  *pb.MetricValue
			spec   *pb.MetricSpec
		}{
			{
				"work", ref("jobs"), true,
				&pb.MetricValue{MetricName: "asked", MetricValue: 14, MetricValueFloat: 14},
				&pb.MetricSpec{MetricName: "queue-jobs", TargetSize: 5, TargetSizeFloat: 5},
			},
			{
				"a broken target is rounded up where KEDA has only an integer", ref("jobs", "target", "0.5"), true,
				&pb.MetricValue{MetricName: "asked", MetricValue: 14, MetricValueFloat: 14},
				&pb.MetricSpec{MetricName: "queue-jobs", TargetSize: 1, TargetSizeFloat: 0.5},
			},
			{
				"not more than the activation", ref("waiting", "activation", "14"), false,
				&pb.MetricValue{MetricName: "asked", MetricValue: 14, MetricValueFloat: 14},
				&pb.MetricSpec{MetricName: "queue-waiting", TargetSize: 5, TargetSizeFloat: 5},
			},
			{
				"not more than the activation, but in flight", ref("jobs", "activation", "14"), true,
				&pb.MetricValue{MetricName: "asked", MetricValue: 14, MetricValueFloat: 14},
				&pb.MetricSpec{MetricName: "queue-jobs", TargetSize: 5, TargetSizeFloat: 5},
			},
			{
				"a drain time", ref("jobs", "drainTime", "60s", "throughput", "2"), true,
				&pb.MetricValue{MetricName: "asked", MetricValue: 14, MetricValueFloat: 14},
				&pb.MetricSpec{MetricName: "queue-jobs", TargetSize: 120, TargetSizeFloat: 120},
			},
			{
				"nothing", ref("empty"), false,
				&pb.MetricValue{MetricName: "asked"},
				&pb.MetricSpec{MetricName: "queue-empty", TargetSize: 5, TargetSizeFloat: 5},
			},
			{
				"more than KEDA can pass on", ref("huge"), true,
				&pb.MetricValue{MetricName: "asked", MetricValue: decision.MaxValue, MetricValueFloat: decision.MaxValue},
				&pb.MetricSpec{MetricName: "queue-huge", TargetSize: 5, TargetSizeFloat: 5},
			},
		} {
			if got := w.isActive(tc.ref); got != tc.active {
				t.Errorf("%s: active is %t", tc.name, got)
			}
			if diff := cmp.Diff(tc.value, w.value(tc.ref), protocmp.Transform()); diff != "" {
				t.Errorf("%s: value (-want +got):\n%s", tc.name, diff)
			}
			spec, err := w.client.GetMetricSpec(w.Context(), tc.ref)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.spec, spec.GetMetricSpecs()[0], protocmp.Transform()); diff != "" {
				t.Errorf("%s: spec (-want +got):\n%s", tc.name, diff)
			}
		}
	})
}

func TestRefusals(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.FailQueue("list", fmt.Errorf("wrong type: %w", backlog.ErrMismatch))
		w.fake.FailQueue("secret", fmt.Errorf("no rights: %w", backlog.ErrDenied))
		stranger := ref("jobs")
		stranger.Namespace = "elsewhere"
		for _, tc := range []struct {
			name string
			ref  *pb.ScaledObjectRef
			code codes.Code
			text string
		}{
			{"misspelt key", ref("jobs", "tagret", "5"), codes.InvalidArgument, `tagret: unknown key, did you mean "target"?`},
			{"bad value", ref("jobs", "target", "-1"), codes.InvalidArgument, `target: "-1": want a number greater than 0`},
			{"other namespace", stranger, codes.PermissionDenied, `connection: not available: namespace "elsewhere" has no connection "main"`},
			{"missing queue", ref("none", "missing", "error"), codes.NotFound, `connection "main", queue "none": queue does not exist`},
			{"not what it is said to be", ref("list"), codes.FailedPrecondition, `connection "main", queue "list": backlog unknown: never read: wrong type: mismatch`},
			{"no rights", ref("secret"), codes.Unavailable, `connection "main", queue "secret": backlog unknown: never read: no rights: denied`},
			{"nothing at all", &pb.ScaledObjectRef{}, codes.InvalidArgument, "connection: required: the name of a connection of the scaler's configuration"},
		} {
			_, err := w.client.GetMetrics(w.Context(), &pb.GetMetricsRequest{ScaledObjectRef: tc.ref})
			if s := status.Convert(err); s.Code() != tc.code || s.Message() != tc.text {
				t.Errorf("%s:\n got %s %s\nwant %s %s", tc.name, s.Code(), s.Message(), tc.code, tc.text)
			}
			if _, err := w.client.IsActive(w.Context(), tc.ref); status.Code(err) != tc.code {
				t.Errorf("%s: IsActive says %s", tc.name, status.Code(err))
			}
			if spec, err := w.client.GetMetricSpec(w.Context(), tc.ref); err != nil || len(spec.GetMetricSpecs()) != 1 {
				t.Errorf("%s: no spec (%v), so KEDA would never ask further and never show the text", tc.name, err)
			}
		}
	})
}

func TestOutage(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		w.fake.SetReady("jobs", 9)
		if got := w.value(ref("jobs")).GetMetricValueFloat(); got != 9 {
			t.Fatalf("value %v before the outage", got)
		}
		w.fake.Fail(fmt.Errorf("connection refused: %w", backlog.ErrUnavailable))
		w.fake.SetReady("jobs", 0)
		began := time.Now()
		for time.Since(began) < 29*time.Second {
			if got := w.value(ref("jobs")).GetMetricValueFloat(); got != 9 || !w.isActive(ref("jobs")) {
				t.Fatalf("value %v %s into the outage", got, time.Since(began))
			}
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Second)
		if _, err := w.client.IsActive(w.Context(), ref("jobs")); status.Code(err) != codes.Unavailable {
			t.Errorf("after 30 s: %v, want Unavailable", err)
		}
		if _, err := w.client.IsActive(w.Context(), ref("jobs", "maxStaleness", "1m")); err != nil {
			t.Errorf("a trigger with a longer bound: %v", err)
		}
		if _, err := w.client.GetMetricSpec(w.Context(), ref("jobs")); err != nil {
			t.Errorf("the target needs no engine: %v", err)
		}
		w.fake.Fail(nil)
		time.Sleep(7 * time.Second)
		if w.isActive(ref("jobs")) {
			t.Error("active after the outage, the queue is empty")
		}
	})
}
