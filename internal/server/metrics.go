package server

import (
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
	queuesLeft, triggersLeft     *prometheus.Desc
}

func newTriggerCollector(s *Server) *triggerCollector {
	labels := []string{"namespace", "scaledobject", "connection", "queue", "trigger"}
	desc := func(subsystem, name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, subsystem, name), help, slices.Concat(labels, more), nil)
	}
	left := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(metricsNamespace, "metrics", name), help, []string{"namespace"}, nil)
	}
	return &triggerCollector{
		server:       s,
		ready:        desc("queue", "ready_messages", "Messages that a worker could take now."),
		due:          desc("queue", "due_messages", "Delayed or retried messages whose time has come."),
		inFlight:     desc("queue", "in_flight_messages", "Messages handed out and not settled; absent where the engine cannot tell."),
		oldest:       desc("queue", "oldest_message_age_seconds", "Age of the oldest waiting message; absent where unknown."),
		value:        desc("trigger", "value", "What KEDA is told: messages. Absent while unknown."),
		target:       desc("trigger", "target", "Messages per replica."),
		active:       desc("trigger", "active", "1 if KEDA is told that there is work, else 0. Absent while unknown."),
		warning:      desc("trigger", "warning", "1 if the reading carries a warning, which the log tells, such as a queue that the framework does not know; else 0."),
		age:          desc("trigger", "reading_age_seconds", "Age of the reading that the value comes from."),
		reason:       desc("trigger", "decision_reason", "1 for each reason why the value is not just the backlog, or the trigger is active without one.", "reason"),
		queuesLeft:   left("queues_left_out", "Queues that have no series of their own because their namespace has too many; they are in the queue (others) of their trigger. Absent for none."),
		triggersLeft: left("triggers_left_out", "Triggers that have no series because there are too many. Absent for none."),
	}
}

// Describe tells all metrics.
func (c *triggerCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.ready, c.due, c.inFlight, c.oldest, c.value, c.target, c.active, c.age, c.warning, c.reason, c.queuesLeft, c.triggersLeft} {
		ch <- desc
	}
}

// Collect reports the live triggers, as many as a page may have. Of several with the same
// labels, as after an edit of the ScaledObject, the one that was asked for last is reported.
func (c *triggerCollector) Collect(ch chan<- prometheus.Metric) {
	now := time.Now()
	shown, left := onPage(c.server.triggers.wanted(now))
	named := map[string]int{}
	for _, t := range shown {
		c.report(ch, t, named, now)
	}
	for namespace, n := range named {
		if n > maxNamedQueues {
			ch <- prometheus.MustNewConstMetric(c.queuesLeft, prometheus.GaugeValue, float64(n-maxNamedQueues), namespace)
		}
	}
	for namespace, n := range left {
		ch <- prometheus.MustNewConstMetric(c.triggersLeft, prometheus.GaugeValue, float64(n), namespace)
	}
}

// report sends the metrics of one trigger. What is unknown is absent, never 0.
// named is how many queues each namespace has been reported with so far, or would have been.
func (c *triggerCollector) report(ch chan<- prometheus.Metric, t reported, named map[string]int, now time.Time) {
	labels := slices.Clone(t.labels[:])
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
	decision, err := t.decide(&seen, now)
	c.reportReasons(ch, decision.Steps, labels)
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
