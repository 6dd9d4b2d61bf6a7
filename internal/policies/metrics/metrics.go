// Package metrics reports AutoscalerPolicies as metrics of Prometheus.
package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

const (
	namespace = "backlog_scaler"
	subsystem = "policy"
)

// Policies are those that are reported.
type Policies interface {
	// Keys returns the names of all policies.
	Keys() []policies.Key
	// Status returns a policy with the last decision on it; false if there is no such policy.
	Status(key policies.Key) (policies.Status, bool)
}

// A Collector reports policies, computed at each scrape. It implements prometheus.Collector.
type Collector struct {
	policies Policies
	// most is the number of policies with series.
	most int

	replicas, available, wanted, reported *prometheus.Desc
	floor, ceiling, decided               *prometheus.Desc
	value, known, reason, window, omitted *prometheus.Desc
}

// NewCollector returns a Collector of policies.
func NewCollector(reported Policies) *Collector {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, slices.Concat([]string{"namespace", "policy"}, more), nil)
	}
	return &Collector{
		policies: reported, most: maxPolicies,
		replicas:  desc("replicas", "Replicas that the workload asks for; absent while unknown."),
		available: desc("available", "Available replicas of the workload; absent while unknown."),
		wanted:    desc("wanted", "Replicas that signals and schedules want, before limiters, steps and busy pods; absent while unknown."),
		reported:  desc("reported", "Replicas that are reported to KEDA, or written with via: Scale; absent while there is no number. A policy with mode: Observe has it too, and nothing acts on it."),
		floor:     desc("floor", "Least number of replicas at this moment; absent while unknown."),
		ceiling:   desc("ceiling", "Largest number of replicas at this moment, lowered by limiters; absent while unknown."),
		decided:   desc("decided", "1 if there is a number of replicas, 0 if the policy has mistakes, or its workload or a signal is unknown."),
		value:     desc("signal_value", "Value of a signal that counts; absent if none does.", "signal"),
		known:     desc("signal_known", "1 if the value of a signal was read and is not older than maxStaleness, else 0.", "signal"),
		reason:    desc("reason", "1 for each reason that currently affects the decision.", "reason"),
		window:    desc("window_open", "1 while a window of the schedule is open, else 0.", "window"),
		omitted: prometheus.NewDesc(prometheus.BuildFQName(namespace, "metrics", "policies_omitted"),
			"Policies without series because there are too many. Absent for none.", []string{"namespace"}, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		c.replicas, c.available, c.wanted, c.reported, c.floor, c.ceiling, c.decided, c.value, c.known, c.reason, c.window, c.omitted,
	} {
		ch <- desc
	}
}

// Collect reports the policies, up to the limit of a page.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	shown, omitted := onPage(c.policies.Keys(), c.most)
	for _, key := range shown {
		if status, found := c.policies.Status(key); found {
			c.report(ch, &status)
		}
	}
	for name, n := range omitted {
		ch <- prometheus.MustNewConstMetric(c.omitted, prometheus.GaugeValue, float64(n), name)
	}
}

// report sends the metrics of one policy. Unknown values are absent, never 0.
func (c *Collector) report(ch chan<- prometheus.Metric, s *policies.Status) {
	if !s.Decided {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, more ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, slices.Concat([]string{s.Policy.Namespace, s.Policy.Name}, more)...)
	}
	gauge(c.decided, number(s.Outcome.Decided()))
	if s.TargetKnown && s.Target.Err == nil {
		gauge(c.replicas, float64(s.Target.Replicas))
		gauge(c.available, float64(s.Target.Available))
	}
	if !s.Read() {
		return
	}
	d := &s.Outcome.Decision
	gauge(c.floor, float64(d.Floor))
	gauge(c.ceiling, float64(d.Ceiling))
	for i := range s.Policy.Spec.Schedules {
		name := s.Policy.Spec.Schedules[i].Name
		gauge(c.window, number(slices.Contains(d.Schedule.Open, name)), name)
	}
	for i := range d.Signals {
		signal := &d.Signals[i]
		gauge(c.known, number(signal.State == policy.Known || signal.State == policy.Stale), signal.Name)
		if signal.State != policy.Holding && signal.State != policy.Ignored {
			gauge(c.value, signal.Value, signal.Name)
		}
	}
	var sent []policy.Reason
	for _, step := range d.Steps {
		if !slices.Contains(sent, step.Reason) {
			sent = append(sent, step.Reason)
			gauge(c.reason, 1, string(step.Reason))
		}
	}
	if s.Outcome.Decided() {
		gauge(c.wanted, float64(d.Wanted))
		gauge(c.reported, float64(s.Outcome.Replicas))
	}
}

// number returns 1 for true and 0 for false.
func number(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
