// Package server serves KEDA's ExternalScaler protocol, health checks and metrics. Only it
// and its inspector use gRPC codes.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An Observer observes the queues.
type Observer interface {
	// Observe returns the observation of a queue. It waits only for the first reading of a
	// new queue.
	Observe(ctx context.Context, want backlog.Interest) (*backlog.Observation, error)
	// Wake treats a queue as changed, and returns the number of queries that read it.
	Wake(connection, queue string) int
	// Subscribe keeps a queue observed until the subscription is closed.
	Subscribe(want backlog.Interest) (Subscription, error)
}

// A Subscription reports changes of the observation of a queue.
type Subscription interface {
	// Changed delivers after the observation changed.
	Changed() <-chan struct{}
	// Observation returns the current observation.
	Observation() backlog.Observation
	// SetWaiting sets whether the subscriber waits for the queue to become non-empty.
	SetWaiting(waiting bool)
	// Gone reports whether the queue is no longer read.
	Gone() bool
	Close()
}

// Options are the limits of a Server. A zero value takes the default.
type Options struct {
	// MaxStaleness is how long the last good reading is used while reads fail, unless the
	// trigger sets it. Default 30 s.
	MaxStaleness time.Duration
	// TriggerTTL is how long a trigger is reported after its last call. Default 5 min.
	TriggerTTL time.Duration
	// StreamLifetime is the age, plus or minus a tenth, at which a stream ends so that KEDA
	// opens another one, perhaps at another replica. Default 30 min.
	StreamLifetime time.Duration
	// MaxTriggers bounds the triggers of all namespaces together, and
	// MaxTriggersPerNamespace those of each one. There may be three streams for each.
	// Default 100,000 and 2,000.
	MaxTriggers, MaxTriggersPerNamespace int
	// MaxConnections bounds the connections to the gRPC port; half of them may come from
	// one address. MaxStreamsPerConnection bounds the calls of one connection that are under
	// way: KEDA holds two for each trigger, all on one connection. Default 1,000 and 40,000.
	MaxConnections, MaxStreamsPerConnection int
	// Policies decides on the policies that triggers name; nil where the catalog accepts none.
	Policies Policies
	// Logger logs rejected requests. Default: discarded.
	Logger *slog.Logger
}

// A Server implements KEDA's ExternalScaler with the observations of an Observer.
type Server struct {
	pb.UnimplementedExternalScalerServer

	observer Observer
	// policies is nil in a scaler that watches none.
	policies Policies
	options  Options
	triggers *triggers
	streams  *prometheus.GaugeVec
	// openStreams limits the open streams, and lifetimes ends them.
	openStreams *quota
	lifetimes   *lifetimes
	// rejections counts what a limit rejected, by limit.
	rejections *prometheus.CounterVec
	// connections are the open connections, by port.
	connections *prometheus.GaugeVec
	errorLog    *errorLog
	rejected    *rejectedTriggers
	// active and inactive are the shared replies of IsActive; they never change.
	active, inactive *pb.IsActiveResponse

	// generation is the configuration in force; SetCatalog replaces it.
	generation atomic.Pointer[generation]
	// pinned are the triggers of the static watches; only SetStaticWatches uses them.
	pinned []pinnedTrigger
	// draining is closed by Drain.
	draining  chan struct{}
	drainOnce sync.Once
}

// A generation is one configuration while it is in force.
type generation struct {
	catalog *trigger.Catalog
	// over is closed when the next generation begins.
	over chan struct{}
}

// New returns a Server for triggers of the catalog.
func New(observer Observer, catalog *trigger.Catalog, options Options) *Server {
	options.MaxStaleness = cmp.Or(options.MaxStaleness, 30*time.Second)
	options.TriggerTTL = cmp.Or(options.TriggerTTL, 5*time.Minute)
	options.StreamLifetime = cmp.Or(options.StreamLifetime, 30*time.Minute)
	options.Logger = cmp.Or(options.Logger, slog.New(slog.DiscardHandler))
	options.MaxTriggers = cmp.Or(options.MaxTriggers, defaultMaxTriggers)
	options.MaxTriggersPerNamespace = cmp.Or(options.MaxTriggersPerNamespace, defaultMaxTriggersPerNamespace)
	options.MaxConnections = cmp.Or(options.MaxConnections, defaultMaxConnections)
	options.MaxStreamsPerConnection = cmp.Or(options.MaxStreamsPerConnection, defaultMaxStreamsPerConnection)
	rejections := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Name: "limit_rejections_total", Help: "Calls and connections rejected because a limit was reached, by limit.",
	}, []string{"limit"})
	const flag = "max-triggers-per-namespace"
	s := &Server{
		observer: observer,
		policies: options.Policies,
		options:  options,
		triggers: newTriggers(options.TriggerTTL, newQuota("triggers", flag, options.MaxTriggersPerNamespace, options.MaxTriggers, rejections),
			newQuota("KiB of metadata", flag, metadataPerTrigger*options.MaxTriggersPerNamespace, metadataPerTrigger*options.MaxTriggers, rejections)),
		openStreams: newQuota("streams", flag, streamsPerTrigger*options.MaxTriggersPerNamespace, streamsPerTrigger*options.MaxTriggers, rejections),
		lifetimes:   newLifetimes(options.StreamLifetime),
		rejections:  rejections,
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: metricsNamespace, Name: "open_streams", Help: "Open streams of KEDA, by method.",
		}, []string{"method"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: metricsNamespace, Name: "open_connections", Help: "Open connections, by port.",
		}, []string{"port"}),
		errorLog: newErrorLog(options.Logger),
		rejected: newRejectedTriggers(options.TriggerTTL),
		active:   &pb.IsActiveResponse{Result: true},
		inactive: &pb.IsActiveResponse{},
		draining: make(chan struct{}),
	}
	s.generation.Store(&generation{catalog: catalog, over: make(chan struct{})})
	return s
}

// SetCatalog puts a new configuration in force. Open streams follow it.
func (s *Server) SetCatalog(catalog *trigger.Catalog) {
	before := s.generation.Swap(&generation{catalog: catalog, over: make(chan struct{})})
	s.triggers.clear()
	close(before.over)
}

// CountRejection counts a call that was rejected because a limit was reached.
func (s *Server) CountRejection(limit string) { s.rejections.WithLabelValues(limit).Inc() }

// Drain ends all streams with EOF: only after EOF KEDA reconnects without a growing delay.
// It is idempotent.
func (s *Server) Drain() { s.drainOnce.Do(func() { close(s.draining) }) }

// resolve returns the trigger of a reference, for a call of a method.
func (s *Server) resolve(ref *pb.ScaledObjectRef, by method) (*liveTrigger, error) {
	now := time.Now()
	if live := s.triggers.find(ref, now); live != nil {
		live.lastMethod.Store(uint32(by))
		return live, nil
	}
	current := s.generation.Load()
	key := s.triggers.hash(ref)
	if err := s.rejected.find(key, ref, current.catalog, by, now); err != nil {
		return nil, err
	}
	ref, interned := intern(ref)
	parsed, err := parse(current.catalog, ref)
	if err != nil {
		s.rejected.add(key, ref, now, func() rejectedTrigger { return newRejectedTrigger(current.catalog, ref, by, err, now) })
		return nil, err
	}
	parsed.Policy.MaxStaleness = cmp.Or(parsed.Policy.MaxStaleness, s.options.MaxStaleness)
	live := newLiveTrigger(ref, interned, parsed)
	live.lastMethod.Store(uint32(by))
	if err := s.triggers.add(live, now); err != nil {
		return nil, err
	}
	s.rejected.remove(key)
	if s.generation.Load() != current {
		// The configuration changed meanwhile: triggers of the old one must not stay.
		s.triggers.clear()
	}
	return live, nil
}

// parse parses the trigger of a reference whose names are possible in Kubernetes.
func parse(catalog *trigger.Catalog, ref *pb.ScaledObjectRef) (trigger.Trigger, error) {
	for _, name := range []string{ref.GetNamespace(), ref.GetName()} {
		if len(name) > maxNameLength {
			return trigger.Trigger{}, trigger.MetadataError{{Text: fmt.Sprintf("the name of the ScaledObject or its namespace is %d bytes long, want at most %d", len(name), maxNameLength)}}
		}
	}
	return catalog.Parse(ref.GetNamespace(), ref.GetScalerMetadata())
}

// decideByPolicy returns the decision of the policy that a trigger names. It is apart from decide so
// that the stack of a call need not grow for what most triggers do not have.
func (s *Server) decideByPolicy(live *liveTrigger, by method) (decision.Decision, error) {
	d, err := s.answer(live)
	if err != nil {
		return d, live.calls.recordError(by, toStatus(live.explain(err)), time.Now())
	}
	live.calls.record(by, response{value: d.Value, active: d.Active}, time.Now())
	return d, nil
}

// decide returns the decision on a trigger, from the observation of its queue or from its policy.
func (s *Server) decide(ctx context.Context, ref *pb.ScaledObjectRef, by method) (*liveTrigger, decision.Decision, error) {
	live, err := s.resolve(ref, by)
	if err != nil {
		return nil, decision.Decision{}, toStatus(err)
	}
	if live.trigger.PolicyName != "" {
		d, err := s.decideByPolicy(live, by)
		return live, d, err
	}
	interest := live.interest()
	// KEDA counts the Jobs of a ScaledJob after it got the value.
	interest.Fresh = live.trigger.Policy.Jobs != "" && by == methodGetMetrics
	seen, err := s.observer.Observe(ctx, interest)
	now := time.Now()
	if err != nil {
		return nil, decision.Decision{}, live.calls.recordError(by, toStatus(live.explain(err)), now)
	}
	d, err := live.decide(seen, now)
	if errors.Is(err, backlog.ErrExhausted) {
		s.CountRejection("queues")
	}
	if err != nil {
		err = live.hinted(err, seen.Latest.Hint)
		return nil, decision.Decision{}, live.calls.recordError(by, toStatus(live.explain(err)), now)
	}
	live.calls.record(by, response{value: d.Value, active: d.Active}, now)
	return live, d, nil
}
