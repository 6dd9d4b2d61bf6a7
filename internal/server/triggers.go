package server

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/server/refcodec"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A liveTrigger is a valid trigger that KEDA asks about, or of a static watch.
type liveTrigger struct {
	// ref is what KEDA sends. Requests share it, so it never changes.
	ref     *pb.ScaledObjectRef
	trigger trigger.Trigger
	// interned holds the texts of ref that other triggers share.
	interned []unique.Handle[string]
	// key is the hash of ref; set when the trigger is added.
	key uint64

	// lastCall is when KEDA last called, in nanoseconds since 1970, and lastMethod the method.
	lastCall   atomic.Int64
	lastMethod atomic.Uint32
	// streams is the number of streams that hold the trigger, and pinned that of the static
	// watches.
	streams, pinned atomic.Int32
	// memo is the observer's.
	memo backlog.Memo
	// calls are the last responses to KEDA.
	calls callHistory
	// reply and spec are the last replies to GetMetrics and GetMetricSpec.
	reply atomic.Pointer[pb.GetMetricsResponse]
	spec  atomic.Pointer[pb.GetMetricSpecResponse]
}

// newLiveTrigger returns the trigger of a reference that intern returned.
func newLiveTrigger(ref *pb.ScaledObjectRef, interned []unique.Handle[string], t trigger.Trigger) *liveTrigger {
	return &liveTrigger{ref: ref, interned: interned, trigger: t}
}

// interest returns what the trigger needs to be observed.
func (t *liveTrigger) interest() backlog.Interest {
	p := &t.trigger.Policy
	return backlog.Interest{
		Connection: t.trigger.Connection, Namespace: t.ref.GetNamespace(), Query: t.trigger.Query, Window: p.Window(),
		InUse: p.InUse(), Counters: p.Counters(), Parts: p.Parts(),
		Memo: &t.memo,
	}
}

// is reports whether ref describes this trigger.
func (t *liveTrigger) is(ref *pb.ScaledObjectRef) bool {
	return t.ref == ref || t.ref.GetNamespace() == ref.GetNamespace() && t.ref.GetName() == ref.GetName() &&
		maps.Equal(t.ref.GetScalerMetadata(), ref.GetScalerMetadata())
}

// decide returns the decision on the trigger.
func (t *liveTrigger) decide(seen *backlog.Observation, now time.Time) (decision.Decision, error) {
	return decision.Decide(&t.trigger.Policy, seen, t.lastReported(), now)
}

// hinted adds the hint to an error of decide, which reaches the author of the ScaledObject.
// A hint names other queues, so it is added only where the whole connection belongs to the
// author's namespace.
func (t *liveTrigger) hinted(err error, hint string) error {
	if hint == "" || !t.trigger.Exclusive || !errors.Is(err, decision.ErrMissing) {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// lastReported returns the value of the last GetMetrics; zero if it returned an error.
func (t *liveTrigger) lastReported() float64 {
	last := t.calls[methodGetMetrics].last.Load()
	if last == nil || last.code != codes.OK {
		return 0
	}
	return last.value
}

// wanted reports whether KEDA still asks about the trigger, or a static watch pins it.
func (t *liveTrigger) wanted(now time.Time, ttl time.Duration) bool {
	return t.streams.Load() > 0 || t.pinned.Load() > 0 || now.Sub(time.Unix(0, t.lastCall.Load())) <= ttl
}

// explain adds the connection and the queue, or the policy, to an error.
func (t *liveTrigger) explain(err error) error {
	if t.trigger.PolicyName != "" {
		return fmt.Errorf("%s: %w", t.trigger.Query, err)
	}
	return fmt.Errorf("connection %q, %s: %w", t.trigger.Connection, t.trigger.Query, err)
}

// triggers are the live triggers, so that a trigger is parsed once and not at each call.
type triggers struct {
	ttl   time.Duration
	seed  maphash.Seed
	quota *quota
	// metadata limits that of all triggers of a namespace, in KiB.
	metadata *quota

	// mu guards what follows. quota.mu is taken while it is held.
	mu    sync.RWMutex
	live  map[uint64]*liveTrigger
	swept time.Time
}

func newTriggers(ttl time.Duration, q, metadata *quota) *triggers {
	return &triggers{ttl: ttl, quota: q, metadata: metadata, seed: maphash.MakeSeed(), live: map[uint64]*liveTrigger{}}
}

// find returns the trigger that ref describes, or nil, and records the call.
func (t *triggers) find(ref *pb.ScaledObjectRef, now time.Time) *liveTrigger {
	t.mu.RLock()
	live := t.live[t.hash(ref)]
	t.mu.RUnlock()
	if live == nil || !live.is(ref) {
		return nil
	}
	live.lastCall.Store(now.UnixNano())
	return live
}

// intern returns a copy of ref that shares the keys of its metadata with other triggers. The
// handles must be kept as long as the copy: a text without a handle is not shared further.
func intern(ref *pb.ScaledObjectRef) (*pb.ScaledObjectRef, []unique.Handle[string]) {
	metadata := make(map[string]string, len(ref.GetScalerMetadata()))
	handles := make([]unique.Handle[string], 0, len(metadata))
	for key, value := range ref.GetScalerMetadata() {
		handle := unique.Make(key)
		handles = append(handles, handle)
		metadata[handle.Value()] = value
	}
	return &pb.ScaledObjectRef{Name: ref.GetName(), Namespace: ref.GetNamespace(), ScalerMetadata: metadata}, handles
}

// add stores a trigger and, from time to time, forgets those that KEDA no longer asks about.
// The error wraps errQuota.
func (t *triggers) add(live *liveTrigger, now time.Time) error {
	live.lastCall.Store(now.UnixNano())
	key := t.hash(live.ref)
	live.key = key
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.swept) >= t.ttl/4 {
		t.sweep(now)
	}
	if before := t.live[key]; before != nil {
		t.release(before)
	}
	delete(t.live, key)
	err := t.acquire(live)
	if err != nil && now.Sub(t.swept) >= sweepInterval {
		t.sweep(now)
		err = t.acquire(live)
	}
	if err != nil {
		return err
	}
	t.live[key] = live
	return nil
}

// acquire counts a trigger and its metadata. The error wraps errQuota.
func (t *triggers) acquire(live *liveTrigger) error {
	namespace := live.ref.GetNamespace()
	if err := t.quota.acquire(namespace); err != nil {
		return err
	}
	err := t.metadata.take(namespace, live.kibibytes())
	if err != nil {
		t.quota.release(namespace)
	}
	return err
}

// release ends the count of a trigger and its metadata.
func (t *triggers) release(live *liveTrigger) {
	t.quota.release(live.ref.GetNamespace())
	t.metadata.give(live.ref.GetNamespace(), live.kibibytes())
}

// kibibytes returns the length of the trigger's metadata in KiB, rounded up.
func (t *liveTrigger) kibibytes() int {
	size := 0
	for key, value := range t.ref.GetScalerMetadata() {
		size += len(key) + len(value)
	}
	return 1 + size/1024
}

// sweepInterval is the least time between two sweeps because of a limit: a sweep visits all
// triggers.
const sweepInterval = time.Second

// sweep forgets the triggers that KEDA no longer asks about. mu is held.
func (t *triggers) sweep(now time.Time) {
	t.swept = now
	maps.DeleteFunc(t.live, func(_ uint64, live *liveTrigger) bool {
		forgotten := !live.wanted(now, t.ttl)
		if forgotten {
			t.release(live)
		}
		return forgotten
	})
}

// clear forgets all triggers. Streams keep theirs until they resolve them again.
func (t *triggers) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, live := range t.live {
		t.release(live)
	}
	clear(t.live)
}

// wanted returns the triggers that KEDA still asks about. From time to time it forgets the
// others, also while no trigger is added.
func (t *triggers) wanted(now time.Time) []*liveTrigger {
	t.mu.Lock()
	if now.Sub(t.swept) >= t.ttl/4 {
		t.sweep(now)
	}
	t.mu.Unlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	live := make([]*liveTrigger, 0, len(t.live))
	for _, trigger := range t.live {
		if trigger.wanted(now, t.ttl) {
			live = append(live, trigger)
		}
	}
	return live
}

// Reference implements refcodec.Store.
func (t *triggers) Reference(hash uint64) (ref *pb.ScaledObjectRef, metricName string) {
	t.mu.RLock()
	live := t.live[hash]
	t.mu.RUnlock()
	if live == nil {
		return nil, ""
	}
	if reply := live.reply.Load(); reply != nil {
		metricName = reply.GetMetricValues()[0].GetMetricName()
	}
	return live.ref, metricName
}

// hash returns the hash of a reference with the seed of the triggers.
func (t *triggers) hash(ref *pb.ScaledObjectRef) uint64 { return refcodec.Hash(t.seed, ref) }
