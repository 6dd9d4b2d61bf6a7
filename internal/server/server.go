// Package server speaks KEDA's ExternalScaler protocol, answers health checks and
// publishes metrics. It is the only home of gRPC codes.
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
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An Observer knows the queues.
type Observer interface {
	// Observe returns what is known of a queue, without waiting except for the first
	// reading of a queue that is new.
	Observe(ctx context.Context, want backlog.Interest) (backlog.Observation, error)
	// Subscribe holds a queue until the subscription is closed.
	Subscribe(want backlog.Interest) (Subscription, error)
}

// A Subscription tells when what is known of a queue changes.
type Subscription interface {
	// Changed delivers after something new is known.
	Changed() <-chan struct{}
	// Observation is what is known now.
	Observation() backlog.Observation
	// SetWaiting says whether the subscriber waits for work to come.
	SetWaiting(waiting bool)
	// Gone tells that nothing will be read any more.
	Gone() bool
	Close()
}

// Options are the times of a Server. A zero value takes the default.
type Options struct {
	// MaxStaleness is for how long the last good reading stands in, where the trigger
	// does not say. Default 30 s.
	MaxStaleness time.Duration
	// TriggerTTL is for how long a trigger is reported after the last call. Default 5 min.
	TriggerTTL time.Duration
	// StreamLifetime is after how long, give or take a tenth, a stream is ended so
	// that KEDA opens it anew, perhaps at another replica. Default 30 min.
	StreamLifetime time.Duration
	// MaxTriggers bounds how many triggers are remembered, of all namespaces together,
	// and MaxTriggersPerNamespace those of each one. There may be three streams for each.
	// Default 100,000 and 2,000.
	MaxTriggers, MaxTriggersPerNamespace int
	// MaxConnections bounds the connections to the gRPC port; half of them may come from
	// one address. MaxStreamsPerConnection bounds the calls of one connection that are under
	// way: KEDA holds two for each trigger, all on one connection. Default 1,000 and 40,000.
	MaxConnections, MaxStreamsPerConnection int
	// Logger gets failing calls. Default: discarded.
	Logger *slog.Logger
}

// A Server implements KEDA's ExternalScaler over what an Observer knows.
type Server struct {
	pb.UnimplementedExternalScalerServer

	observer Observer
	options  Options
	triggers *triggers
	streams  *prometheus.GaugeVec
	// held limits the open streams.
	held *quota
	// limited counts what was refused because of a limit, by its kind.
	limited *prometheus.CounterVec
	// connections are those that are open, by port.
	connections *prometheus.GaugeVec
	refusals    *refusals
	refused     *refused
	// active and inactive are the answers of IsActive; nobody changes them.
	active, inactive *pb.IsActiveResponse

	// epoch is the configuration in force; replaced by SetCatalog.
	epoch atomic.Pointer[epoch]
	// kept are the triggers of Keep; replaced by it alone, one call at a time.
	kept []keptTrigger
	// draining is closed by Drain.
	draining  chan struct{}
	drainOnce sync.Once
}

// An epoch is the time in which one configuration is in force.
type epoch struct {
	catalog *trigger.Catalog
	// over is closed when the next epoch begins.
	over chan struct{}
}

// New returns a Server that answers triggers of the catalog.
func New(observer Observer, catalog *trigger.Catalog, options Options) *Server {
	options.MaxStaleness = cmp.Or(options.MaxStaleness, 30*time.Second)
	options.TriggerTTL = cmp.Or(options.TriggerTTL, 5*time.Minute)
	options.StreamLifetime = cmp.Or(options.StreamLifetime, 30*time.Minute)
	options.Logger = cmp.Or(options.Logger, slog.New(slog.DiscardHandler))
	options.MaxTriggers = cmp.Or(options.MaxTriggers, defaultMaxTriggers)
	options.MaxTriggersPerNamespace = cmp.Or(options.MaxTriggersPerNamespace, defaultMaxTriggersPerNamespace)
	options.MaxConnections = cmp.Or(options.MaxConnections, defaultMaxConnections)
	options.MaxStreamsPerConnection = cmp.Or(options.MaxStreamsPerConnection, defaultMaxStreamsPerConnection)
	limited := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: metricsNamespace, Name: "limit_refusals_total", Help: "Calls refused because a limit was reached, by what is limited.",
	}, []string{"kind"})
	const flag = "max-triggers-per-namespace"
	s := &Server{
		observer: observer,
		options:  options,
		triggers: newTriggers(options.TriggerTTL, newQuota("triggers", flag, options.MaxTriggersPerNamespace, options.MaxTriggers, limited),
			newQuota("KiB of metadata", flag, metadataPerTrigger*options.MaxTriggersPerNamespace, metadataPerTrigger*options.MaxTriggers, limited)),
		held:    newQuota("streams", flag, streamsPerTrigger*options.MaxTriggersPerNamespace, streamsPerTrigger*options.MaxTriggers, limited),
		limited: limited,
		streams: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: metricsNamespace, Name: "open_streams", Help: "Streams that KEDA holds open.",
		}, []string{"method"}),
		connections: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: metricsNamespace, Name: "open_connections", Help: "Connections that are open, by port.",
		}, []string{"port"}),
		refusals: newRefusals(options.Logger),
		refused:  newRefused(options.TriggerTTL),
		active:   &pb.IsActiveResponse{Result: true},
		inactive: &pb.IsActiveResponse{},
		draining: make(chan struct{}),
	}
	s.epoch.Store(&epoch{catalog: catalog, over: make(chan struct{})})
	return s
}

// SetCatalog puts a new configuration in force. Open streams follow it.
func (s *Server) SetCatalog(catalog *trigger.Catalog) {
	before := s.epoch.Swap(&epoch{catalog: catalog, over: make(chan struct{})})
	s.triggers.clear()
	close(before.over)
}

// CountRefusal counts in the metrics what is refused because a limit is reached, by its kind.
func (s *Server) CountRefusal(kind string) { s.limited.WithLabelValues(kind).Inc() }

// Drain ends all streams with EOF, the one way to end a stream after which KEDA
// comes back without a growing delay. It is idempotent.
func (s *Server) Drain() { s.drainOnce.Do(func() { close(s.draining) }) }

// resolve returns the trigger that a reference describes, for a call of method.
func (s *Server) resolve(ref *pb.ScaledObjectRef, by method) (*liveTrigger, error) {
	now := time.Now()
	if live := s.triggers.find(ref, now); live != nil {
		live.askedBy.Store(uint32(by))
		return live, nil
	}
	current := s.epoch.Load()
	key := s.triggers.hash(ref)
	if err := s.refused.again(key, ref, current.catalog, by, now); err != nil {
		return nil, err
	}
	ref = s.triggers.adopt(ref)
	parsed, err := parse(current.catalog, ref)
	if err != nil {
		s.refused.add(key, ref, now, func() refusedTrigger { return newRefusedTrigger(current.catalog, ref, by, err, now) })
		return nil, err
	}
	parsed.Policy.MaxStaleness = cmp.Or(parsed.Policy.MaxStaleness, s.options.MaxStaleness)
	live := newLiveTrigger(ref, parsed)
	live.askedBy.Store(uint32(by))
	if err := s.triggers.add(live, now); err != nil {
		return nil, err
	}
	s.refused.remove(key)
	if s.epoch.Load() != current {
		// The configuration changed meanwhile: what was parsed by the old one must
		// not stay.
		s.triggers.clear()
	}
	return live, nil
}

// parse parses the trigger of a reference whose names Kubernetes could have.
func parse(catalog *trigger.Catalog, ref *pb.ScaledObjectRef) (trigger.Trigger, error) {
	for _, name := range []string{ref.GetNamespace(), ref.GetName()} {
		if len(name) > maxShownName {
			return trigger.Trigger{}, trigger.MetadataError{{Text: fmt.Sprintf("the name of the ScaledObject or its namespace is %d bytes long, want at most %d", len(name), maxShownName)}}
		}
	}
	return catalog.Parse(ref.GetNamespace(), ref.GetScalerMetadata())
}

// decide answers a trigger from what is known of its queue.
func (s *Server) decide(ctx context.Context, ref *pb.ScaledObjectRef, by method) (*liveTrigger, policy.Decision, error) {
	live, err := s.resolve(ref, by)
	if err != nil {
		return nil, policy.Decision{}, toStatus(err)
	}
	seen, err := s.observer.Observe(ctx, live.interest())
	now := time.Now()
	if err != nil {
		return nil, policy.Decision{}, live.calls.refuse(by, toStatus(live.explain(err)), now)
	}
	decision, err := live.decide(&seen, now)
	if errors.Is(err, backlog.ErrExhausted) {
		s.CountRefusal("queues")
	}
	if err != nil {
		err = live.hinted(err, seen.Latest.Hint)
		return nil, policy.Decision{}, live.calls.refuse(by, toStatus(live.explain(err)), now)
	}
	live.calls.note(by, answer{value: decision.Value, active: decision.Active}, now)
	return live, decision, nil
}
