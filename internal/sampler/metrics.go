package sampler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const namespace = "backlog_scaler"

// metrics are the counters of all connections. Their labels are bounded by the
// number of configured connections.
type metrics struct {
	reads, queries, confirmations, wakeups, errors *prometheus.CounterVec
	duration                                       *prometheus.HistogramVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: "connection", Name: name, Help: help,
		}, append([]string{"connection", "engine"}, labels...))
	}
	return &metrics{
		reads:         counter("batches_total", "Batches of queues that were read."),
		queries:       counter("queue_reads_total", "Reads of single queues, summed over the batches."),
		confirmations: counter("confirmations_total", "Successful confirmations that no armed queue had changed."),
		wakeups:       counter("wakeups_total", "Notifications of the engine that a queue changed."),
		errors:        counter("read_errors_total", "Failed reads of single queues, by reason.", "reason"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: "connection", Name: "batch_duration_seconds",
			Help:    "Duration of the read of one batch.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}, []string{"connection", "engine"}),
	}
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.reads, m.queries, m.confirmations, m.wakeups, m.errors, m.duration}
}

// forget drops the series of a connection that is gone.
func (m *metrics) forget(connection string) {
	labels := prometheus.Labels{"connection": connection}
	m.reads.DeletePartialMatch(labels)
	m.queries.DeletePartialMatch(labels)
	m.confirmations.DeletePartialMatch(labels)
	m.wakeups.DeletePartialMatch(labels)
	m.errors.DeletePartialMatch(labels)
	m.duration.DeletePartialMatch(labels)
}

// meter returns the counters of one connection, all of them present from the start.
func (m *metrics) meter(c backlog.Connection) meter {
	errors := m.errors.MustCurryWith(prometheus.Labels{"connection": c.Name, "engine": c.Engine})
	for _, err := range []error{backlog.ErrUnavailable, backlog.ErrDenied, backlog.ErrMismatch, backlog.ErrPartial, backlog.ErrExhausted} {
		errors.WithLabelValues(backlog.Reason(err))
	}
	return meter{
		reads:         m.reads.WithLabelValues(c.Name, c.Engine),
		queries:       m.queries.WithLabelValues(c.Name, c.Engine),
		confirmations: m.confirmations.WithLabelValues(c.Name, c.Engine),
		wakeups:       m.wakeups.WithLabelValues(c.Name, c.Engine),
		errors:        errors,
		duration:      m.duration.WithLabelValues(c.Name, c.Engine),
	}
}

// A meter holds the counters of one connection.
type meter struct {
	reads, queries, confirmations, wakeups prometheus.Counter
	errors                                 *prometheus.CounterVec
	duration                               prometheus.Observer
}

func (m meter) observeRead(queries int, took time.Duration, results []backlog.Result) {
	m.reads.Inc()
	m.queries.Add(float64(queries))
	m.duration.Observe(took.Seconds())
	for i := range results {
		if err := results[i].Err; err != nil && !isPending(results[i]) {
			m.errors.WithLabelValues(backlog.Reason(err)).Inc()
		}
	}
}

// gauges report the state of each connection at the time of a scrape.
type gauges struct{ sampler *Sampler }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "connection", name), help,
		append([]string{"connection", "engine"}, labels...), nil)
}

// Describe sends nothing: the metrics depend on the configuration.
func (g gauges) Describe(chan<- *prometheus.Desc) {}

// Collect reports every connection.
func (g gauges) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	for _, l := range g.sampler.all() {
		source := l.source.Load()
		status := source.Status()
		watches, connected, stalest := l.summary(now)
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			labels = append([]string{l.name, source.engine}, labels...)
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
		}
		gauge(describe("queues", "Queues that are observed."), float64(watches))
		gauge(describe("up", "1 if the last read reached the engine, else 0."), connected)
		gauge(describe("staleness_seconds", "Age of the oldest reading that is used because its queue cannot be read; 0 while all reads succeed."), stalest.Seconds())
		if calls := status.Calls; calls != nil {
			gauge(describe("calls_per_minute_limit", "Most calls in a minute that the configuration allows, for an engine whose calls have a price."), float64(calls.PerMinute))
			made := describe("calls_total", "Calls that were made since the connection was opened, for an engine whose calls have a price.")
			ch <- prometheus.MustNewConstMetric(made, prometheus.CounterValue, float64(calls.Made), l.name, source.engine)
		}
		if status.WakeUp != "" {
			gauge(describe("wakeup_mode", "Mode in which the connection notices changes; 1 for the current mode.", "mode"), 1, status.WakeUp)
		}
	}
}

// summary returns the number of watches, whether the connection is up and the age of the
// stalest reading. A connection without watches counts as up.
func (l *connectionLoop) summary(now time.Time) (watches int, connected float64, stalest time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	connected = 1
	if len(l.failing) > 0 && len(l.failing) == len(l.watches) {
		connected = 0
	}
	for w := range l.failing {
		seen := l.observation(w)
		since := seen.FailingSince
		if seen.Known() {
			since = seen.Latest.At
		}
		stalest = max(stalest, now.Sub(since))
	}
	return len(l.watches), connected, stalest
}
