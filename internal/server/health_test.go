package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
)

const externalScaler = "externalscaler.ExternalScaler"

func TestHealthFollowsTheProcess(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		client := healthpb.NewHealthClient(w.conn)
		expect := func(when string, ready, live healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			for service, want := range map[string]healthpb.HealthCheckResponse_ServingStatus{
				"": ready, externalScaler: ready, server.ServiceReadiness: ready, server.ServiceLiveness: live,
			} {
				reply, err := client.Check(w.Context(), &healthpb.HealthCheckRequest{Service: service})
				if err != nil || reply.GetStatus() != want {
					t.Errorf("%s: %q is %v (%v), want %v", when, service, reply.GetStatus(), err, want)
				}
			}
		}
		const serving, not = healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING
		expect("starting", not, serving)
		w.health.Serving()
		expect("serving", serving, serving)
		w.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(time.Hour)
		expect("with its only broker down for an hour", serving, serving)
		w.health.Draining()
		w.health.Draining()
		w.health.Serving()
		expect("draining", not, serving)
		if _, err := client.Check(w.Context(), &healthpb.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
			t.Errorf("unknown service: %v, want NotFound", err)
		}
		list, err := client.List(w.Context(), &healthpb.HealthListRequest{})
		if err != nil || len(list.GetStatuses()) != 4 {
			t.Errorf("list %v (%v), want four services", list.GetStatuses(), err)
		}
	})
}

func TestHealthWatch(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		stream, err := healthpb.NewHealthClient(w.conn).Watch(w.Context(), &healthpb.HealthCheckRequest{Service: server.ServiceReadiness})
		if err != nil {
			t.Fatal(err)
		}
		expect := func(want healthpb.HealthCheckResponse_ServingStatus) {
			t.Helper()
			if reply, err := stream.Recv(); err != nil || reply.GetStatus() != want {
				t.Errorf("got %v (%v), want %v", reply.GetStatus(), err, want)
			}
		}
		expect(healthpb.HealthCheckResponse_NOT_SERVING)
		w.health.Serving()
		expect(healthpb.HealthCheckResponse_SERVING)
		w.health.Draining()
		expect(healthpb.HealthCheckResponse_NOT_SERVING)
	})
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	health := server.NewHealth(func() error {
		if stuck.Load() {
			return errors.New("the loop of connection \"main\" has made no progress for 20s")
		}
		return nil
	})
	handler := server.NewHTTP(server.HTTPOptions{Health: health, Gatherer: prometheus.NewRegistry(), Version: map[string]string{"version": "v1"}, Wake: http.NotFoundHandler()}).Handler
	get := func(path string, code int, body string) {
		t.Helper()
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if recorder.Code != code || body != "" && recorder.Body.String() != body {
			t.Errorf("%s: %d %q, want %d %q", path, recorder.Code, recorder.Body, code, body)
		}
	}
	get("/readyz", http.StatusServiceUnavailable, "starting\n")
	get("/healthz", http.StatusOK, "ok\n")
	health.Serving()
	get("/readyz", http.StatusOK, "ok\n")
	stuck.Store(true)
	get("/healthz", http.StatusServiceUnavailable, "the loop of connection \"main\" has made no progress for 20s\n")
	get("/readyz", http.StatusServiceUnavailable, "the loop of connection \"main\" has made no progress for 20s\n")
	stuck.Store(false)
	health.Draining()
	get("/readyz", http.StatusServiceUnavailable, "draining\n")
	get("/version", http.StatusOK, "{\"version\":\"v1\"}\n")
	get("/metrics", http.StatusOK, "")
	get("/debug/pprof/", http.StatusNotFound, "")
	handler = server.NewHTTP(server.HTTPOptions{Health: health, Gatherer: prometheus.NewRegistry(), Wake: http.NotFoundHandler(), Profiles: true}).Handler
	get("/debug/pprof/", http.StatusOK, "")
}

func TestTriggerMetrics(t *testing.T) {
	inWorld(t, server.Options{TriggerTTL: time.Minute}, func(w world) {
		w.fake.Set("jobs", backlog.Reading{
			Ready: 4, Due: 1, InFlight: backlog.Exactly(2),
			Oldest: backlog.Age{Since: time.Now().Add(-90 * time.Second), Kind: backlog.AgeExact},
		})
		w.isActive(ref("jobs"))
		time.Sleep(time.Millisecond)
		w.isActive(ref("jobs", "target", "10")) // the same ScaledObject, edited
		expect := func(when string, want map[string]float64) {
			t.Helper()
			for name, value := range want {
				got := scrape(t, w.registry, name)
				if len(got) != 1 || got[0] != value {
					t.Errorf("%s: %s is %v, want %v once", when, name, got, value)
				}
			}
		}
		expect("with work", map[string]float64{
			"backlog_scaler_queue_ready_messages":             4,
			"backlog_scaler_queue_due_messages":               1,
			"backlog_scaler_queue_in_flight_messages":         2,
			"backlog_scaler_queue_oldest_message_age_seconds": 90.001,
			"backlog_scaler_trigger_value":                    7,
			"backlog_scaler_trigger_target":                   10,
			"backlog_scaler_trigger_active":                   1,
			"backlog_scaler_trigger_reading_age_seconds":      0.001,
		})
		w.fake.Fail(backlog.ErrUnavailable)
		time.Sleep(45 * time.Second)
		for _, name := range []string{"backlog_scaler_trigger_value", "backlog_scaler_trigger_active", "backlog_scaler_queue_ready_messages"} {
			if got := scrape(t, w.registry, name); len(got) != 0 {
				t.Errorf("%s is %v in an outage, want it absent", name, got)
			}
		}
		if age := scrape(t, w.registry, "backlog_scaler_trigger_reading_age_seconds"); len(age) != 1 || age[0] < 44 {
			t.Errorf("reading age %v, want 45", age)
		}
		time.Sleep(time.Minute)
		if got := scrape(t, w.registry, "backlog_scaler_trigger_target"); len(got) != 0 {
			t.Errorf("a trigger without calls is still reported: %v", got)
		}
	})
}

// TestMetricsOfSeveralQueues: each has its own series, those beyond a hundred have one
// together, and a warning shows.
func TestMetricsOfSeveralQueues(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		parts := make([]backlog.Part, 130)
		for i := range parts {
			parts[i] = backlog.Part{Queue: fmt.Sprintf("tenant-%03d", i), Reading: backlog.Reading{Ready: int64(i)}}
		}
		whole := backlog.Aggregate(parts)
		whole.Warning = "too many"
		w.fake.Set("tenants", whole)
		w.isActive(ref("tenants"))
		queues := scrapeQueues(t, w.registry, "backlog_scaler_queue_ready_messages")
		if len(queues) != 101 || queues["tenant-042"] != 42 || queues["(others)"] != 30*(100+129)/2 {
			t.Errorf("%d series: %v", len(queues), queues)
		}
		if got := scrape(t, w.registry, "backlog_scaler_trigger_warning"); len(got) != 1 || got[0] != 1 {
			t.Errorf("warning %v, want 1", got)
		}
		if got := scrapeQueues(t, w.registry, "backlog_scaler_trigger_value"); len(got) != 1 || got["tenants"] != 129*130/2 {
			t.Errorf("value %v", got)
		}
	})
}

func TestStreamsAreCounted(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		_, ended := w.record(w.Context(), ref("jobs"))
		synctest.Wait()
		if got := scrape(t, w.registry, "backlog_scaler_open_streams"); len(got) != 1 || got[0] != 1 {
			t.Errorf("open streams %v, want 1", got)
		}
		w.server.Drain()
		if err := <-ended; !errors.Is(err, io.EOF) {
			t.Errorf("the stream ended with %v", err)
		}
		synctest.Wait()
		if got := scrape(t, w.registry, "backlog_scaler_open_streams"); len(got) != 1 || got[0] != 0 {
			t.Errorf("open streams %v, want 0", got)
		}
	})
}

// scrapeQueues returns the values of a gauge by the label queue.
func scrapeQueues(t *testing.T, registry *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "queue" {
					values[label.GetValue()] = metric.GetGauge().GetValue()
				}
			}
		}
	}
	return values
}

// scrape returns the values of a gauge.
func scrape(t *testing.T, registry *prometheus.Registry, name string) []float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var values []float64
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			values = append(values, metric.GetGauge().GetValue())
		}
	}
	return values
}

// TestMetricsOfANamespaceAreBounded: however many queues its triggers ask for, and however
// long their names are. Omitted queues are counted.
func TestMetricsOfANamespaceAreBounded(t *testing.T) {
	inWorld(t, server.Options{}, func(w world) {
		parts := make([]backlog.Part, 90)
		for i := range parts {
			parts[i] = backlog.Part{Queue: strings.Repeat("long", 200) + strconv.Itoa(i), Reading: backlog.Reading{Ready: 1}}
		}
		const triggers = 30
		for n := range triggers {
			name := strings.Repeat("tenant", 1000) + strconv.Itoa(n)
			w.fake.Set(name, backlog.Aggregate(parts))
			r := ref(name)
			r.Name = fmt.Sprintf("worker-%d", n)
			w.isActive(r)
		}
		other := ref("jobs")
		other.Namespace = "bank"
		w.isActive(other)
		ready := scrape(t, w.registry, "backlog_scaler_queue_ready_messages")
		var sum float64
		for _, value := range ready {
			sum += value
		}
		// 22 triggers with all their queues, one with 20 and the others together, 7 with the
		// others alone, and the one of the other namespace.
		if want := 22*90 + 21 + 7 + 1; len(ready) != want || sum != triggers*90 {
			w.Errorf("%d series of %v messages, want %d of %d", len(ready), sum, want, triggers*90)
		}
		if left := scrape(t, w.registry, "backlog_scaler_metrics_queues_omitted"); len(left) != 1 || left[0] != 700 {
			w.Errorf("%v queues are omitted, want 700", left)
		}
		if values := scrape(t, w.registry, "backlog_scaler_trigger_value"); len(values) != triggers+1 {
			w.Errorf("%d triggers have a value, want all", len(values))
		}
		families, err := w.registry.Gather()
		if err != nil {
			w.Fatal(err)
		}
		for _, family := range families {
			if text := family.String(); len(text) > 3<<20 {
				w.Errorf("%s is %d bytes long", family.GetName(), len(text))
			}
		}
	})
}
