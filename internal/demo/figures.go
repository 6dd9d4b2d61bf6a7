package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/backlog-scaler/backlog-scaler/internal/demo/screen"
)

// scrapeInterval is how often the scaler's metrics are fetched.
const scrapeInterval = 250 * time.Millisecond

// figures are what the scaler's metrics say: what the table shows is what anybody
// can see there.
type figures struct {
	url    string
	client *http.Client

	// mu guards latest: run writes, the screen reads.
	mu     sync.Mutex
	latest map[string]*dto.MetricFamily
}

func newFigures(url string, client *http.Client) *figures { return &figures{url: url, client: client} }

// run fetches the metrics until ctx ends.
func (f *figures) run(ctx context.Context) {
	defer f.client.CloseIdleConnections()
	ticker := time.NewTicker(scrapeInterval)
	defer ticker.Stop()
	for {
		// What cannot be fetched is unknown, and shown so.
		families, err := f.fetch(ctx)
		if err != nil {
			families = nil
		}
		f.mu.Lock()
		f.latest = families
		f.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (f *figures) fetch(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch the metrics: %w", err)
	}
	response, err := f.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	// It was only read.
	_ = response.Body.Close()
	return families, err
}

// row returns the part of a row that the metrics of a ScaledObject tell.
func (f *figures) row(scaledObject string) screen.Row {
	var row screen.Row
	ready, readyKnown := f.value("backlog_scaler_queue_ready_messages", scaledObject)
	due, dueKnown := f.value("backlog_scaler_queue_due_messages", scaledObject)
	row.Waiting = screen.Number{N: int64(ready + due), Known: readyKnown && dueKnown}
	inFlight, known := f.value("backlog_scaler_queue_in_flight_messages", scaledObject)
	row.InFlight = screen.Number{N: int64(inFlight), Known: known}
	oldest, known := f.value("backlog_scaler_queue_oldest_message_age_seconds", scaledObject)
	row.Oldest = screen.Age{Age: time.Duration(oldest * float64(time.Second)), Known: known}
	return row
}

// wakeUp is how the scaler notices changes; empty until it is known.
func (f *figures) wakeUp() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.latest["backlog_scaler_connection_wakeup_mode"].GetMetric() {
		return label(m, "mode")
	}
	return ""
}

// value returns the gauge of the family that belongs to the ScaledObject.
func (f *figures) value(family, scaledObject string) (gauge float64, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.latest[family].GetMetric() {
		if label(m, "scaledobject") == scaledObject {
			return m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}

func label(m *dto.Metric, name string) string {
	for _, pair := range m.GetLabel() {
		if pair.GetName() == name {
			return pair.GetValue()
		}
	}
	return ""
}
