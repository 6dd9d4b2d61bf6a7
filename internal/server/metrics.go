package server

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

const metricsNamespace = "backlog_scaler"

// Collectors are the metrics of the server: one set for each trigger that KEDA
// asks about, computed when they are scraped, the open streams and connections, and what limits
// have refused.
func (s *Server) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.streams, s.limited, s.connections, newTriggerCollector(s)}
}

// A triggerCollector reports the live triggers.
type triggerCollector struct {
	server                       *Server
	ready, due, inFlight, oldest *prometheus.Desc
	value, target, active, age   *prometheus.Desc
	warning, reason              *prometheus.Desc
}

func newTriggerCollector(s *Server) *triggerCollector {
	labels := []string{"namespace", "scaledobject", "connection", "queue", "trigger"}
	desc := func(subsystem, name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, subsystem, name), help, slices.Concat(labels, more), nil)
	}
	return &triggerCollector{
		server:   s,
		ready:    desc("queue", "ready_messages", "Messages that a worker could take now."),
		due:      desc("queue", "due_messages", "Delayed or retried messages whose time has come."),
		inFlight: desc("queue", "in_flight_messages", "Messages handed out and not settled; absent where the engine cannot tell."),
		oldest:   desc("queue", "oldest_message_age_seconds", "Age of the oldest waiting message; absent where unknown."),
		value:    desc("trigger", "value", "What KEDA is told: messages. Absent while unknown."),
		target:   desc("trigger", "target", "Messages per replica."),
		active:   desc("trigger", "active", "1 if KEDA is told that there is work, else 0. Absent while unknown."),
		warning:  desc("trigger", "warning", "1 if the reading carries a warning, which the log tells, such as a queue that the framework does not know; else 0."),
		age:      desc("trigger", "reading_age_seconds", "Age of the reading that the value comes from."),
		reason:   desc("trigger", "decision_reason", "1 for each reason why the value is not just the backlog, or the trigger is active without one.", "reason"),
	}
}

// Describe tells all metrics.
func (c *triggerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.ready, c.due, c.inFlight, c.oldest, c.value, c.target, c.active, c.age, c.warning, c.reason} {
		ch <- desc
	}
}

// Collect reports every live trigger. Of several with the same labels, as after
// an edit of the ScaledObject, the one that was asked for last is reported.
func (c *triggerCollector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	live := c.server.triggers.wanted(now)
	slices.SortFunc(live, func(a, b *liveTrigger) int { return cmp.Compare(b.asked.Load(), a.asked.Load()) })
	reported := map[[5]string]bool{}
	for _, t := range live {
		labels := [5]string{t.ref.GetNamespace(), t.ref.GetName(), t.trigger.Connection, t.trigger.Query.Queue, t.trigger.MetricName}
		if !reported[labels] {
			reported[labels] = true
			c.report(ch, t, labels[:], now)
		}
	}
}

// report sends the metrics of one trigger. What is unknown is absent, never 0.
func (c *triggerCollector) report(ch chan<- prometheus.Metric, t *liveTrigger, labels []string, now time.Time) {
	gauge := func(desc *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(c.target, t.trigger.Policy.Target)
	// A scrape must not wait for an engine, so it asks with no time to wait.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	seen, err := c.server.observer.Observe(ctx, t.interest())
	if err != nil || !seen.Known() {
		return
	}
	gauge(c.age, now.Sub(seen.Latest.At).Seconds())
	gauge(c.warning, number(seen.Latest.Warning != ""))
	decision, err := t.decide(seen, now)
	c.reportReasons(ch, decision.Steps, labels)
	if err != nil {
		return
	}
	for _, part := range queues(t, seen.Latest) {
		labels[labelQueue] = part.Queue
		c.reportReading(gauge, part.Reading, now)
	}
	labels[labelQueue] = t.trigger.Query.Queue
	gauge(c.value, decision.Value)
	gauge(c.active, number(decision.Active))
}

// number is how a metric tells whether something is so.
func number(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

const (
	// labelQueue is the place of the label queue.
	labelQueue = 3
	// maxParts is of how many queues of one trigger the metrics tell by name; the
	// others are one more, named otherQueues.
	maxParts    = 100
	otherQueues = "(others)"
)

// queues are the queues of a reading, of which each has its metrics.
func queues(t *liveTrigger, r backlog.Reading) []backlog.Part {
	switch {
	case r.Parts == nil:
		return []backlog.Part{{Queue: t.trigger.Query.Queue, Reading: r}}
	case len(r.Parts) <= maxParts:
		return r.Parts
	default:
		// A slice of its own: the reading is everybody's.
		parts := slices.Clone(r.Parts[:maxParts])
		return append(parts, backlog.Part{Queue: otherQueues, Reading: backlog.Together(r.Parts[maxParts:])})
	}
}

// reportReasons sends a series for each reason of a decision, also of one that is not
// told because the trigger settles.
func (c *triggerCollector) reportReasons(ch chan<- prometheus.Metric, steps []policy.Step, labels []string) {
	reported := map[policy.Reason]bool{}
	for _, step := range steps {
		if !reported[step.Reason] {
			reported[step.Reason] = true
			ch <- prometheus.MustNewConstMetric(c.reason, prometheus.GaugeValue, 1, slices.Concat(labels, []string{string(step.Reason)})...)
		}
	}
}

func (c *triggerCollector) reportReading(gauge func(*prometheus.Desc, float64), r backlog.Reading, now time.Time) {
	gauge(c.ready, float64(r.Ready))
	gauge(c.due, float64(r.Due))
	if r.InFlight.Known {
		gauge(c.inFlight, float64(r.InFlight.N))
	}
	switch {
	case r.Oldest.Kind != backlog.AgeUnknown:
		gauge(c.oldest, max(0, now.Sub(r.Oldest.Since).Seconds()))
	case r.Ready+r.Due == 0:
		gauge(c.oldest, 0)
	}
}
