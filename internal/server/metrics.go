package server

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

const metricsNamespace = "backlog_scaler"

// Collectors returns the metrics of the server: the triggers that KEDA asks about, computed
// at each scrape, the open streams and connections, and the rejections by limits.
func (s *Server) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.streams, s.rejections, s.connections, newTriggerCollector(s)}
}

// A triggerCollector reports the live triggers.
type triggerCollector struct {
	server                         *Server
	ready, due, inFlight, oldest   *prometheus.Desc
	value, target, active, age     *prometheus.Desc
	warning, reason                *prometheus.Desc
	queuesOmitted, triggersOmitted *prometheus.Desc
}

func newTriggerCollector(s *Server) *triggerCollector {
	labels := []string{"namespace", "scaledobject", "connection", "queue", "trigger"}
	desc := func(subsystem, name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, subsystem, name), help, slices.Concat(labels, more), nil)
	}
	omitted := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "metrics", name), help, []string{"namespace"}, nil)
	}
	return &triggerCollector{
		server:          s,
		ready:           desc("queue", "ready_messages", "Messages that a worker could take now."),
		due:             desc("queue", "due_messages", "Delayed or retried messages whose time has come."),
		inFlight:        desc("queue", "in_flight_messages", "Messages delivered and not yet acknowledged; absent if the engine does not report them."),
		oldest:          desc("queue", "oldest_message_age_seconds", "Age of the oldest waiting message; absent if unknown."),
		value:           desc("trigger", "value", "Value reported to KEDA, in messages or as measured; absent while unknown."),
		target:          desc("trigger", "target", "Target reported to KEDA, per replica."),
		active:          desc("trigger", "active", "1 if the trigger is active, else 0; absent while unknown."),
		warning:         desc("trigger", "warning", "1 if the reading has a warning, such as a queue that the framework does not know, else 0. The log has its text."),
		age:             desc("trigger", "reading_age_seconds", "Age of the reading that the value is computed from."),
		reason:          desc("trigger", "decision_reason", "1 for each reason that currently affects the decision.", "reason"),
		queuesOmitted:   omitted("queues_omitted", "Queues without series of their own because their namespace has too many. They are summed in the queue (others) of their trigger. Absent for none."),
		triggersOmitted: omitted("triggers_omitted", "Triggers without series because there are too many. Absent for none."),
	}
}

// Describe implements prometheus.Collector.
func (c *triggerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.ready, c.due, c.inFlight, c.oldest, c.value, c.target, c.active, c.age, c.warning, c.reason, c.queuesOmitted, c.triggersOmitted} {
		ch <- desc
	}
}

// Collect reports the live triggers, up to the limit of a page. Of several with the same
// labels, as after an edit of the ScaledObject, it reports the most recently called one.
func (c *triggerCollector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	shown, omitted := onPage(c.server.triggers.wanted(now))
	named := map[string]int{}
	for _, t := range shown {
		c.report(ch, t, named, now)
	}
	for namespace, n := range named {
		if n > maxNamedQueues {
			ch <- prometheus.MustNewConstMetric(c.queuesOmitted, prometheus.GaugeValue, float64(n-maxNamedQueues), namespace)
		}
	}
	for namespace, n := range omitted {
		ch <- prometheus.MustNewConstMetric(c.triggersOmitted, prometheus.GaugeValue, float64(n), namespace)
	}
}

// report sends the metrics of one trigger. Unknown values are absent, never 0. named is the
// number of queues of each namespace so far, also of those beyond the limit.
func (c *triggerCollector) report(ch chan<- prometheus.Metric, t reported, named map[string]int, now time.Time) {
	labels := slices.Clone(t.labels[:])
	gauge := func(desc *prometheus.Desc, value float64) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	gauge(c.target, t.trigger.Policy.Target)
	if t.trigger.PolicyName != "" {
		if d, err := c.server.answer(t.liveTrigger); err == nil {
			gauge(c.value, d.Value)
			gauge(c.active, number(d.Active))
		}
		return
	}
	// A scrape must not wait for an engine, so it observes without time to wait.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	seen, err := c.server.observer.Observe(ctx, t.interest())
	if err != nil || !seen.Known() {
		return
	}
	gauge(c.age, now.Sub(seen.Latest.At).Seconds())
	gauge(c.warning, number(seen.Latest.Warning != ""))
	d, err := t.decide(seen, now)
	c.reportReasons(ch, d.Steps, labels)
	if err != nil {
		return
	}
	namespace := labels[0]
	for _, part := range queues(t.liveTrigger, seen.Latest, maxNamedQueues-named[namespace]) {
		labels[labelQueue] = part.Queue
		c.reportReading(gauge, part.Reading, now)
	}
	named[namespace] += min(len(seen.Latest.Parts), maxParts)
	labels[labelQueue] = t.labels[labelQueue]
	gauge(c.value, d.Value)
	gauge(c.active, number(d.Active))
}

// number returns 1 for true and 0 for false.
func number(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// reportReasons sends a series for each reason of a decision, also while the trigger warms up.
func (c *triggerCollector) reportReasons(ch chan<- prometheus.Metric, steps []decision.Step, labels []string) {
	reported := map[decision.Reason]bool{}
	for _, step := range steps {
		if !reported[step.Reason] {
			reported[step.Reason] = true
			ch <- prometheus.MustNewConstMetric(c.reason, prometheus.GaugeValue, 1, slices.Concat(labels, []string{string(step.Reason)})...)
		}
	}
}

// reportReading sends the counts of a queue. A measured number has none; it is the value.
func (c *triggerCollector) reportReading(gauge func(*prometheus.Desc, float64), r backlog.Reading, now time.Time) {
	if r.Measured.Known {
		return
	}
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
