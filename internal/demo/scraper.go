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

// A scraper fetches the scaler's metrics, so that the table shows what every scrape shows.
type scraper struct {
	url    string
	client *http.Client

	// mu guards latest: run writes, the screen reads.
	mu     sync.Mutex
	latest map[string]*dto.MetricFamily
}

func newScraper(url string, client *http.Client) *scraper { return &scraper{url: url, client: client} }

// run fetches the metrics until ctx ends.
func (s *scraper) run(ctx context.Context) {
	defer s.client.CloseIdleConnections()
	ticker := time.NewTicker(scrapeInterval)
	defer ticker.Stop()
	for {
		// A failed fetch is shown as unknown.
		families, err := s.fetch(ctx)
		if err != nil {
			families = nil
		}
		s.mu.Lock()
		s.latest = families
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *scraper) fetch(ctx context.Context) (map[string]*dto.MetricFamily, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("fetch the metrics: %w", err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("fetch the metrics: %w", err)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	// It was only read.
	_ = response.Body.Close()
	return families, err
}

// row returns the columns of a row that come from the metrics of a ScaledObject.
func (s *scraper) row(scaledObject string) screen.Row {
	var row screen.Row
	ready, readyKnown := s.value("backlog_scaler_queue_ready_messages", scaledObject)
	due, dueKnown := s.value("backlog_scaler_queue_due_messages", scaledObject)
	row.Waiting = screen.Number{N: int64(ready + due), Known: readyKnown && dueKnown}
	inFlight, known := s.value("backlog_scaler_queue_in_flight_messages", scaledObject)
	row.InFlight = screen.Number{N: int64(inFlight), Known: known}
	oldest, known := s.value("backlog_scaler_queue_oldest_message_age_seconds", scaledObject)
	row.Oldest = screen.Age{Age: time.Duration(oldest * float64(time.Second)), Known: known}
	return row
}

// wakeUp returns how the scaler notices changes; empty until known.
func (s *scraper) wakeUp() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.latest["backlog_scaler_connection_wakeup_mode"].GetMetric() {
		return label(m, "mode")
	}
	return ""
}

// value returns the gauge of a family for the ScaledObject.
func (s *scraper) value(family, scaledObject string) (gauge float64, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.latest[family].GetMetric() {
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
