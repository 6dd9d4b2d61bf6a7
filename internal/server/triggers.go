package server

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A liveTrigger is a trigger of a ScaledObject that KEDA asks about.
type liveTrigger struct {
	// ref is what KEDA says of it. Requests share it; nobody changes it.
	ref     *pb.ScaledObjectRef
	trigger trigger.Trigger
	// key is the hash of ref; set when the trigger is added.
	key uint64

	// asked is when KEDA asked last, in nanoseconds since 1970.
	asked atomic.Int64
	// askedBy is the method of that call.
	askedBy atomic.Uint32
	// streams is how many streams hold the trigger.
	streams atomic.Int32
	// kept is how many watches of the configuration hold it.
	kept atomic.Int32
	// calls are what KEDA was answered.
	calls conversation
	// reply and spec are the last replies to GetMetrics and GetMetricSpec.
	reply atomic.Pointer[pb.GetMetricsResponse]
	spec  atomic.Pointer[pb.GetMetricSpecResponse]
}

func newLiveTrigger(ref *pb.ScaledObjectRef, t trigger.Trigger) *liveTrigger {
	return &liveTrigger{
		ref:     ref,
		trigger: t,
	}
}

// interest is what the trigger wants to know.
func (t *liveTrigger) interest() backlog.Interest {
	p := &t.trigger.Policy
	return backlog.Interest{
		Connection: t.trigger.Connection, Namespace: t.ref.GetNamespace(), Query: t.trigger.Query, Window: p.Window(),
		InUse: p.InUse(), Counters: p.Counters(), Parts: p.Parts(),
	}
}

// is tells whether ref describes this trigger.
func (t *liveTrigger) is(ref *pb.ScaledObjectRef) bool {
	return t.ref == ref || t.ref.GetNamespace() == ref.GetNamespace() && t.ref.GetName() == ref.GetName() &&
		maps.Equal(t.ref.GetScalerMetadata(), ref.GetScalerMetadata())
}

// isEncoded tells whether an encoded reference of the same hash describes this trigger.
// A key that is there twice has made another hash.
func (t *liveTrigger) isEncoded(encoded []byte) bool {
	pairs := 0
	name, namespace, same := eachPair(encoded, func(key, value []byte) bool {
		pairs++
		known, ok := t.ref.GetScalerMetadata()[string(key)]
		return ok && known == string(value)
	})
	return same && pairs == len(t.ref.GetScalerMetadata()) && t.ref.GetName() == string(name) && t.ref.GetNamespace() == string(namespace)
}

// decide decides about the trigger.
func (t *liveTrigger) decide(seen *backlog.Observation, now time.Time) (policy.Decision, error) {
	return policy.Decide(t.trigger.Policy, *seen, t.lastTold(), now)
}

// hinted completes an error of decide, which reaches the author of the ScaledObject. It
// names other queues only where the whole connection belongs to the author's namespace.
func (t *liveTrigger) hinted(err error, hint string) error {
	if hint == "" || !t.trigger.Exclusive || !errors.Is(err, policy.ErrMissing) {
		return err
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// lastTold is the value that KEDA was told last; zero if its last call got an error.
func (t *liveTrigger) lastTold() policy.Told {
	last := t.calls[methodGetMetrics].last.Load()
	if last == nil || last.code != codes.OK {
		return policy.Told{}
	}
	return policy.Told{Value: last.value}
}

// wanted tells whether KEDA still asks about the trigger.
func (t *liveTrigger) wanted(now time.Time, ttl time.Duration) bool {
	return t.streams.Load() > 0 || t.kept.Load() > 0 || now.Sub(time.Unix(0, t.asked.Load())) <= ttl
}

// explain names the queue in an error.
func (t *liveTrigger) explain(err error) error {
	return fmt.Errorf("connection %q, %s: %w", t.trigger.Connection, t.trigger.Query, err)
}

// triggers are the live triggers. A trigger is parsed once, not once a call.
type triggers struct {
	ttl   time.Duration
	seed  maphash.Seed
	texts texts
	quota *quota
	// metadata limits that of all triggers of a namespace, in KiB.
	metadata *quota

	// mu guards what follows.
	mu    sync.RWMutex
	live  map[uint64]*liveTrigger
	swept time.Time
}

func newTriggers(ttl time.Duration, q, metadata *quota) *triggers {
	return &triggers{ttl: ttl, quota: q, metadata: metadata, seed: maphash.MakeSeed(), texts: texts{known: map[string]string{}}, live: map[uint64]*liveTrigger{}}
}

// find returns the trigger that ref describes, or nil, and notes that it was asked for.
func (t *triggers) find(ref *pb.ScaledObjectRef, now time.Time) *liveTrigger {
	t.mu.RLock()
	live := t.live[t.hash(ref)]
	t.mu.RUnlock()
	if live == nil || !live.is(ref) {
		return nil
	}
	live.asked.Store(now.UnixNano())
	return live
}

// adopt returns ref in a form that can be kept: it holds nothing of the call, and
// shares texts with other triggers.
func (t *triggers) adopt(ref *pb.ScaledObjectRef) *pb.ScaledObjectRef {
	return &pb.ScaledObjectRef{
		Name: ref.GetName(), Namespace: ref.GetNamespace(), ScalerMetadata: t.texts.share(ref.GetScalerMetadata()),
	}
}

// add keeps a trigger, and forgets from time to time those that KEDA does not ask about
// any more. The error wraps errQuota.
func (t *triggers) add(live *liveTrigger, now time.Time) error {
	live.asked.Store(now.UnixNano())
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

// release counts a trigger no more.
func (t *triggers) release(live *liveTrigger) {
	t.quota.release(live.ref.GetNamespace())
	t.metadata.give(live.ref.GetNamespace(), live.kibibytes())
}

// kibibytes is the length of the trigger's metadata, in KiB begun.
func (t *liveTrigger) kibibytes() int {
	size := 0
	for key, value := range t.ref.GetScalerMetadata() {
		size += len(key) + len(value)
	}
	return 1 + size/1024
}

// sweepInterval is how often a limit that is reached makes forgotten triggers be looked
// for, at most: each time all of them are gone through.
const sweepInterval = time.Second

// sweep forgets the triggers that KEDA does not ask about any more. mu is held.
func (t *triggers) sweep(now time.Time) {
	t.swept = now
	t.texts.forget()
	maps.DeleteFunc(t.live, func(_ uint64, live *liveTrigger) bool {
		forgotten := !live.wanted(now, t.ttl)
		if forgotten {
			t.release(live)
		}
		return forgotten
	})
}

// clear forgets all triggers. Streams keep theirs until they ask again.
func (t *triggers) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, live := range t.live {
		t.release(live)
	}
	clear(t.live)
}

// wanted returns the triggers that KEDA still asks about, and forgets the others from
// time to time, also while no trigger is added.
func (t *triggers) wanted(now time.Time) []*liveTrigger {
	t.mu.Lock()
	if now.Sub(t.swept) >= t.ttl/4 {
		t.sweep(now)
	}
	t.mu.Unlock()
	t.mu.RLock()
	defer t.mu.RUnlock()
	var live []*liveTrigger
	for _, trigger := range t.live {
		if trigger.wanted(now, t.ttl) {
			live = append(live, trigger)
		}
	}
	return live
}

// recognise returns the trigger that an encoded reference describes, or nil.
func (t *triggers) recognise(encoded []byte) *liveTrigger {
	key, ok := t.hashEncoded(encoded)
	if !ok {
		return nil
	}
	t.mu.RLock()
	live := t.live[key]
	t.mu.RUnlock()
	if live == nil || !live.isEncoded(encoded) {
		return nil
	}
	return live
}

// hash is that of a reference with the seed of the triggers.
func (t *triggers) hash(ref *pb.ScaledObjectRef) uint64 { return hash(t.seed, ref) }

// hash does not depend on the order of the metadata, which a map has not.
func hash(seed maphash.Seed, ref *pb.ScaledObjectRef) uint64 {
	sum := hashTexts(maphash.String(seed, ref.GetNamespace()), maphash.String(seed, ref.GetName()))
	for key, value := range ref.GetScalerMetadata() {
		sum += hashPair(maphash.String(seed, key), maphash.String(seed, value))
	}
	return sum
}

// hashEncoded is hash of an encoded reference, which may hold its pairs in any order.
func (t *triggers) hashEncoded(encoded []byte) (sum uint64, ok bool) {
	name, namespace, ok := eachPair(encoded, func(key, value []byte) bool {
		sum += hashPair(maphash.Bytes(t.seed, key), maphash.Bytes(t.seed, value))
		return true
	})
	return sum + hashTexts(maphash.Bytes(t.seed, namespace), maphash.Bytes(t.seed, name)), ok
}

func hashTexts(namespace, name uint64) uint64 { return namespace + 3*name }

func hashPair(key, value uint64) uint64 {
	pair := key*31 + value
	return pair * (pair | 1)
}
