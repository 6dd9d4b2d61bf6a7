package server

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A refusedTrigger is what KEDA asks about in vain, because the trigger has faults
// or names a connection that it may not use. It is immutable.
type refusedTrigger struct {
	namespace, scaledObject string
	metadata                map[string]string
	// err is the status that KEDA gets.
	err error
	// cause is why, catalog the one that it was parsed with, and check a second hash of
	// the reference: the same reference is not parsed again by the same catalog.
	cause   error
	catalog *trigger.Catalog
	check   uint64
	asked   time.Time
	by      method
	since   time.Time
}

// The bounds of what is remembered of a refused trigger, in bytes but for
// maxShownKeys. What was refused can be of any size.
const (
	maxShownKeys  = 20
	maxShownValue = 100
	maxShownName  = 253
)

func newRefusedTrigger(catalog *trigger.Catalog, ref *pb.ScaledObjectRef, by method, err error, now time.Time) refusedTrigger {
	s := status.Convert(toStatus(err))
	return refusedTrigger{
		namespace:    cut(ref.GetNamespace(), maxShownName),
		scaledObject: cut(ref.GetName(), maxShownName),
		metadata:     shown(catalog, ref.GetScalerMetadata()),
		err:          s.Err(),
		cause:        err, catalog: catalog,
		asked: now, by: by, since: now,
	}
}

// The bounds of how many refused triggers are remembered. Each takes some 10 KiB.
const (
	maxRefused             = 2000
	maxRefusedPerNamespace = 200
	// refusedSweep is how often those are looked for that KEDA does not ask about any more: with many of them that takes long.
	refusedSweep = time.Second
)

// withheld stands for a value that may be a secret.
const withheld = "(withheld)"

// shown is metadata for people. The value of a key that no trigger has, and one
// that KEDA took from the environment of a container, may be a secret.
func shown(catalog *trigger.Catalog, metadata map[string]string) map[string]string {
	result := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if len(result) == maxShownKeys {
			break
		}
		value := withheld
		if catalog.Knows(key) {
			value = cut(metadata[key], maxShownValue)
		}
		result[cut(key, maxShownValue)] = value
	}
	return result
}

// cut keeps text short and valid UTF-8.
func cut(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "")
}

// refused are the triggers that KEDA asked about lately and that were refused.
type refused struct {
	ttl time.Duration
	// seed is that of refusedTrigger.check.
	seed maphash.Seed

	// mu guards what follows. The keys of triggers are the hashes of what KEDA sends, and of is how many each namespace has.
	mu       sync.Mutex
	triggers map[uint64]refusedTrigger
	of       map[string]int
	swept    time.Time
}

func newRefused(ttl time.Duration) *refused {
	return &refused{ttl: ttl, seed: maphash.MakeSeed(), triggers: map[uint64]refusedTrigger{}, of: map[string]int{}}
}

// again returns why a trigger was refused, if this very reference was refused before by
// the same catalog; else nil.
func (r *refused) again(key uint64, ref *pb.ScaledObjectRef, catalog *trigger.Catalog, by method, now time.Time) error {
	r.mu.Lock()
	t, known := r.triggers[key]
	r.mu.Unlock()
	// A reference may be large: it is hashed without the lock.
	if !known || t.catalog != catalog || t.check != hash(r.seed, ref) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if latest, still := r.triggers[key]; still && latest.check == t.check {
		latest.asked, latest.by = now, by
		r.triggers[key] = latest
	}
	return t.cause
}

// add remembers a refused trigger, which build describes, if there is room: when there are too many, of its namespace or in
// all, it forgets those that KEDA does not ask about any more, else the newest.
func (r *refused) add(key uint64, ref *pb.ScaledObjectRef, now time.Time, build func() refusedTrigger) {
	if !r.room(key, cut(ref.GetNamespace(), maxShownName), now) {
		return
	}
	t := build()
	t.check = hash(r.seed, ref)
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.triggers[key]
	if known && before.err.Error() == t.err.Error() {
		t.since = before.since
	}
	r.forget(key)
	r.triggers[key] = t
	r.of[t.namespace]++
}

// room reports whether one more trigger of a namespace may be remembered.
func (r *refused) room(key uint64, namespace string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.triggers[key]; known {
		return true
	}
	full := func() bool { return len(r.triggers) >= maxRefused || r.of[namespace] >= maxRefusedPerNamespace }
	if full() && now.Sub(r.swept) > refusedSweep {
		r.swept = now
		for old, t := range r.triggers {
			if now.Sub(t.asked) > r.ttl {
				r.forget(old)
			}
		}
	}
	return !full()
}

// forget removes a trigger. mu is held.
func (r *refused) forget(key uint64) {
	t, known := r.triggers[key]
	if !known {
		return
	}
	delete(r.triggers, key)
	r.of[t.namespace]--
	if r.of[t.namespace] == 0 {
		delete(r.of, t.namespace)
	}
}

// remove forgets a trigger that is accepted now.
func (r *refused) remove(key uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(key)
}

// wanted returns the refused triggers that KEDA still asks about, by their hash.
func (r *refused) wanted(now time.Time) map[uint64]refusedTrigger {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := map[uint64]refusedTrigger{}
	for key, t := range r.triggers {
		if now.Sub(t.asked) <= r.ttl {
			wanted[key] = t
		}
	}
	return wanted
}
