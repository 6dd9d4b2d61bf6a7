package caller

import (
	"context"
	"errors"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testTimeout bounds the wait for what a caller does.
const testTimeout = time.Minute

// A scaler gives the answers that a test sets.
type scaler struct {
	pb.UnimplementedExternalScalerServer

	// mu guards all below: the test writes, calls read.
	mu    sync.Mutex
	value float64
	err   error
	// end ends the streams that are open, with its error; changed is closed and
	// replaced when a stream has to look.
	end     error
	ends    int
	changed chan struct{}
	// written is when set was called last.
	written time.Time
	// streams, specs and metrics count calls.
	streams, specs, metrics int
}

func (s *scaler) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.written = time.Now()
	change()
	close(s.changed)
	s.changed = make(chan struct{})
}

// lastSet is when the scaler last reported work.
func (s *scaler) lastSet() (time.Time, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.written, "the write"
}

func (s *scaler) GetMetricSpec(context.Context, *pb.ScaledObjectRef) (*pb.GetMetricSpecResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.specs++
	return spec(), nil
}

func spec() *pb.GetMetricSpecResponse {
	return &pb.GetMetricSpecResponse{MetricSpecs: []*pb.MetricSpec{{MetricName: "jobs", TargetSize: 5, TargetSizeFloat: 5}}}
}

func (s *scaler) GetMetrics(_ context.Context, r *pb.GetMetricsRequest) (*pb.GetMetricsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.metrics++
	return &pb.GetMetricsResponse{MetricValues: []*pb.MetricValue{{MetricName: r.GetMetricName(), MetricValueFloat: s.value}}}, s.err
}

func (s *scaler) IsActive(context.Context, *pb.ScaledObjectRef) (*pb.IsActiveResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &pb.IsActiveResponse{Result: s.value > 0}, s.err
}

func (s *scaler) StreamIsActive(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.IsActiveResponse]) error {
	s.mu.Lock()
	s.streams++
	ends := s.ends
	s.mu.Unlock()
	for {
		s.mu.Lock()
		active, over, err, changed := s.value > 0, s.ends > ends, s.end, s.changed
		s.mu.Unlock()
		if over {
			return err
		}
		if err := stream.Send(&pb.IsActiveResponse{Result: active}); err != nil {
			return err
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return nil
		}
	}
}

func (s *scaler) StreamMetricSpec(_ *pb.ScaledObjectRef, stream grpc.ServerStreamingServer[pb.GetMetricSpecResponse]) error {
	if err := stream.Send(spec()); err != nil {
		return err
	}
	<-stream.Context().Done()
	return nil
}

// A workload has the desired number of replicas at once.
type workload struct {
	// mu guards replicas: the caller writes, the test reads.
	mu       sync.Mutex
	replicas int32
	history  []int32
}

func (w *workload) Scale() hpa.Scale {
	w.mu.Lock()
	defer w.mu.Unlock()
	return hpa.Steady(w.replicas)
}

func (w *workload) SetReplicas(n int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.replicas = n
	w.history = append(w.history, n)
}

func (w *workload) steps() []int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.history)
}

// run scales a workload by s until the test ends.
func run(t *testing.T, s *scaler) (*workload, *Caller, *journal.Journal) {
	t.Helper()
	s.changed = make(chan struct{})
	server := grpc.NewServer()
	pb.RegisterExternalScalerServer(server, s)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	down := hpa.DefaultDown()
	down.Stabilization = 0
	w, log := new(workload), journal.New()
	c := New(conn, Object{
		Name: "jobs", Namespace: "test", Metadata: map[string]string{"list": "jobs"},
		Polling: 300 * time.Millisecond, Sync: 200 * time.Millisecond,
		Scaling: hpa.ScaledObject{
			Max: 10, Cooldown: time.Second, Created: time.Now(),
			Behavior: &hpa.Behavior{Up: hpa.DefaultUp(), Down: down},
		},
	}, w, s.lastSet, log)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	running.Go(func() { c.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		server.Stop()
		conn.Close()
		running.Wait()
	})
	return w, c, log
}

func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(testTimeout)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, testTimeout)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func texts(log *journal.Journal) string {
	var all strings.Builder
	for _, e := range log.Last(100) {
		all.WriteString(e.Text + "\n")
	}
	return all.String()
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	s := new(scaler)
	w, c, log := run(t, s)
	await(t, "the stream is open", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.streams == 1 })
	s.set(func() { s.value = 23 })
	await(t, "5 replicas", func() bool { return w.Scale().Spec == 5 })
	if want := "HPA: ceil(23/5) = 5"; c.Why(time.Now(), false) != want {
		t.Errorf("the reason is %q, want %q", c.Why(time.Now(), false), want)
	}
	s.set(func() { s.value = 8 })
	await(t, "2 replicas", func() bool { return w.Scale().Spec == 2 })
	s.set(func() { s.value = 0 })
	await(t, "no replicas", func() bool { return w.Scale().Spec == 0 })
	steps := slices.Compact(w.steps())
	if want := []int32{1, 5, 2, 0}; !cmp.Equal(steps, want) && !cmp.Equal(steps, []int32{1, 5, 2, 1, 0}) {
		t.Errorf("steps %v, want %v, perhaps with a 1 before the 0", steps, want)
	}
	if want := `0 → 1  (woken \d+\.\d ms after the write|the poll saw work)\n1 → 5  HPA`; !regexp.MustCompile(want).MatchString(texts(log)) {
		t.Errorf("journal\n%s\nhas no %q", texts(log), want)
	}
	specs, metrics := s.calls()
	await(t, "GetMetricSpec is not called once StreamMetricSpec has answered", func() bool {
		specsNow, metricsNow := s.calls()
		if specsNow != specs {
			specs, metrics = specsNow, metricsNow
		}
		return metricsNow >= metrics+5
	})
}

// calls returns how often GetMetricSpec and GetMetrics were called.
func (s *scaler) calls() (specs, metrics int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.specs, s.metrics
}

// While the scaler cannot tell, nothing is scaled down.
func TestHeld(t *testing.T) {
	t.Parallel()
	s := new(scaler)
	w, c, log := run(t, s)
	s.set(func() { s.value = 23 })
	await(t, "5 replicas", func() bool { return w.Scale().Spec == 5 })
	s.set(func() { s.value, s.err = 0, status.Error(codes.Unavailable, "backlog unknown") })
	await(t, "the failure is reported", func() bool {
		return regexp.MustCompile(`^(held|the HPA holds): Unavailable: backlog unknown$`).MatchString(c.Why(time.Now(), false))
	})
	// Longer than the cooldown, in which many polls fail.
	over := time.Now().Add(2 * time.Second)
	await(t, "the cooldown is over", func() bool { return time.Now().After(over) })
	if replicas := w.Scale().Spec; replicas != 5 {
		t.Errorf("%d replicas, want the 5 from before", replicas)
	}
	s.set(func() { s.value, s.err = 23, nil })
	await(t, "the recovery is reported", func() bool { return c.Why(time.Now(), false) == "HPA: ceil(23/5) = 5" })
	if replicas := w.Scale().Spec; replicas != 5 {
		t.Errorf("%d replicas after the recovery, want 5", replicas)
	}
	if n := len(regexp.MustCompile(`Unavailable`).FindAllString(texts(log), -1)); n != 1 {
		t.Errorf("the failure is reported %d times in\n%s", n, texts(log))
	}
}

// A stream that ends is opened again.
func TestStreamReopened(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]error{
		"with EOF":      nil,
		"with an error": errors.New("gone"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := new(scaler)
			run(t, s)
			await(t, "the stream is open", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.streams == 1 })
			began := time.Now()
			s.set(func() { s.ends, s.end = s.ends+1, end })
			await(t, "the stream is open again", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.streams == 2 })
			if took := time.Since(began); took < firstRetry {
				t.Errorf("it was opened again after %s, want %s or more", took, firstRetry)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		value float64
		r     hpa.Recommendation
		want  string
	}{
		"as wanted":  {23, hpa.Recommendation{Replicas: 5, Wanted: 5}, "HPA: ceil(23/5) = 5"},
		"part":       {0.5, hpa.Recommendation{Replicas: 1, Wanted: 1}, "HPA: ceil(0.5/5) = 1"},
		"rate":       {80, hpa.Recommendation{Replicas: 5, Wanted: 16, Reason: hpa.UpLimit}, "HPA: ceil(80/5) = 16, by steps: 5"},
		"maximum":    {80, hpa.Recommendation{Replicas: 10, Wanted: 16, Reason: hpa.TooMany}, "HPA: ceil(80/5) = 16, at most 10"},
		"minimum":    {0, hpa.Recommendation{Replicas: 1, Wanted: 0, Reason: hpa.TooFew}, "HPA: ceil(0/5) = 0, at least 1"},
		"tolerance":  {26, hpa.Recommendation{Replicas: 5, Wanted: 5}, "HPA: 26/5 is within 10 % of 5"},
		"stabilized": {0, hpa.Recommendation{Replicas: 5, Wanted: 0, Reason: hpa.Stabilized}, "HPA: ceil(0/5) = 0, window holds 5"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := explain(test.value, 5, test.r); got != test.want {
				t.Errorf("explained as %q, want %q", got, test.want)
			}
		})
	}
}
