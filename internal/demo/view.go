package demo

import (
	"encoding/json"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/journal"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/operator"
	"github.com/backlog-scaler/backlog-scaler/internal/demo/screen"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// snapshot is how everything is now.
func (s *runner) snapshot(now time.Time) screen.Snapshot {
	snapshot := screen.Snapshot{Elapsed: now.Sub(s.began), Intro: s.intro(), Hints: s.hints()}
	for _, p := range s.workloads {
		snapshot.Rows = append(snapshot.Rows, s.row(p, now))
	}
	if s.options.Size != nil {
		snapshot.Events = s.events(s.log.Last(screen.EventRows))
		return snapshot
	}
	var entries []journal.Entry
	entries, s.nextEvent = s.log.Since(s.nextEvent)
	snapshot.Events = s.events(entries)
	return snapshot
}

// finished reports whether all workloads have finished and the scaler has seen it.
func (s *runner) finished(now time.Time) bool {
	for _, p := range s.workloads {
		row := s.row(p, now)
		if !p.workload.Finished() || !row.Empty() {
			return false
		}
	}
	return true
}

// row is how a workload is now.
func (s *runner) row(p scaledWorkload, now time.Time) screen.Row {
	spec, scale := p.workload.Spec(), p.workload.Scale()
	row, working, window := s.metrics.row(spec.Name), false, ""
	if spec.Policy != "" {
		view := s.operator.Look(policies.Key{Namespace: namespace, Name: spec.Policy}, now)
		row, working, window = rowOf(view, now), view.Active, view.Window
	}
	row.Workload, row.Queue = spec.Name, spec.Layout+" "+spec.Name
	row.Wanted, row.Running = scale.Spec, scale.Ready
	empty := row.Empty() && !working
	row.Why = p.caller.Why(now, empty)
	if next := p.workload.Next(now); empty && scale.Spec == 0 && next.After(now) {
		row.Why = fmt.Sprintf("idle: %d messages in %d s", spec.Bursts.Messages, int64(math.Ceil(next.Sub(now).Seconds())))
	}
	if window != "" {
		row.Why = window + "; " + row.Why
	}
	return row
}

// rowOf returns the columns of a row whose queue is the signal of a policy.
func rowOf(view operator.View, now time.Time) screen.Row {
	r := view.Reading
	row := screen.Row{
		Waiting:  screen.Number{N: r.Ready + r.Due, Known: view.Known},
		InFlight: screen.Number{N: r.InFlight.N, Known: view.Known && r.InFlight.Known},
	}
	switch {
	case row.Empty():
		row.Oldest = screen.Age{Known: true}
	case r.Oldest.Kind != backlog.AgeUnknown:
		row.Oldest = screen.Age{Age: max(0, now.Sub(r.Oldest.Since)), Known: view.Known}
	}
	return row
}

// events are journal entries as the screen shows them.
func (s *runner) events(entries []journal.Entry) []screen.Event {
	events := make([]screen.Event, len(entries))
	for i, e := range entries {
		events[i] = screen.Event{After: max(0, e.At.Sub(s.began)), Subject: e.Subject, Text: e.Text}
	}
	return events
}

// intro says what this is.
func (s *runner) intro() []string {
	o := s.options
	intro := []string{
		fmt.Sprintf("backlog-scaler on %s (HTTP on %s) reads %s on %s.",
			s.scaler.GRPCAddr(), s.scaler.HTTPAddr(), s.broker.Name, s.broker.Addr),
		fmt.Sprintf("Its web page, with each decision as a picture: http://%s/", dialable(s.scaler.AdminAddr())),
		fmt.Sprintf("It is called as KEDA does (push, poll each %s, cooldown %s) and the HPA (sync each %s, down after %s).",
			o.Polling, o.Cooldown, o.Sync, o.Stabilization),
	}
	if name := s.policy(); name != "" {
		intro = append(intro, fmt.Sprintf("The AutoscalerPolicy %s/%s has a schedule: http://%s/policies/%s/%s", namespace, name, dialable(s.scaler.AdminAddr()), namespace, name))
	}
	if s.broker.Missing != "" {
		intro = append(intro,
			"This is no redis-server ("+s.broker.Missing+"): it cannot report changes, so the scaler polls it,",
			"and it counts entries of a stream twice while they are worked on.")
	}
	return intro
}

// hints are what one may try, ready to be pasted into a shell.
func (s *runner) hints() []string {
	list := s.workloads[0]
	grpcAddr, httpAddr := dialable(s.scaler.GRPCAddr()), dialable(s.scaler.HTTPAddr())
	host, port, err := net.SplitHostPort(s.broker.Addr)
	if err != nil {
		host, port = s.broker.Addr, ""
	}
	name := list.workload.Spec().Name
	ref := fmt.Sprintf(`{"name":%q,"namespace":%q,"scalerMetadata":%s}`, name, namespace, object(list.metadata))
	call := func(data, method string) string {
		return fmt.Sprintf("grpcurl -plaintext -d '%s' %s externalscaler.ExternalScaler/%s", data, grpcAddr, method)
	}
	hints := []string{
		"Try it from another terminal (without grpcurl, in the source folder: go tool -modfile=tools/grpcurl/go.mod grpcurl ...):",
		call(ref, "IsActive"),
		call(fmt.Sprintf(`{"metricName":"any","scaledObjectRef":%s}`, ref), "GetMetrics"),
		call(ref, "StreamIsActive"),
		fmt.Sprintf("curl -s http://%s/metrics | grep ^backlog_scaler_", httpAddr),
		fmt.Sprintf("redis-cli -h %s -p %s LPUSH %s one two three", host, port, name),
	}
	if name := s.policy(); name != "" {
		hints = append(hints, fmt.Sprintf("go run ./cmd/scaler explain --address %s --policy %s/%s", dialable(s.scaler.AdminAddr()), namespace, name))
	}
	return append(hints, "Ctrl-C ends the demo.")
}

// policy returns the name of the first policy that a workload has; empty if none has one.
func (s *runner) policy() string {
	for _, p := range s.workloads {
		if name := p.workload.Spec().Policy; name != "" {
			return name
		}
	}
	return ""
}

// object is JSON that a shell takes between single quotes.
func object(values map[string]string) string {
	// Strings can always be marshalled.
	text, _ := json.Marshal(values)
	return strings.ReplaceAll(string(text), "'", `'\''`)
}

// dialable is where a listener on addr is reached on this machine.
func dialable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("127.0.0.1:%d", tcp.Port)
}
