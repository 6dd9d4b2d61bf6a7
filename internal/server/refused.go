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

	// mu guards triggers, whose keys are the hashes of what KEDA sends.
	mu       sync.Mutex
	triggers map[uint64]refusedTrigger
}

func newRefused(ttl time.Duration) *refused {
	return &refused{ttl: ttl, seed: maphash.MakeSeed(), triggers: map[uint64]refusedTrigger{}}
}

// again returns why a trigger was refused, if this very reference was refused before by
// the same catalog; else nil.
func (r *refused) again(key uint64, ref *pb.ScaledObjectRef, catalog *trigger.Catalog, by method, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, known := r.triggers[key]
	if !known || t.catalog != catalog || t.check != hash(r.seed, ref) {
		return nil
	}
	t.asked, t.by = now, by
	r.triggers[key] = t
	return t.cause
}

// add remembers a refused trigger. When there are too many, of its namespace or in all,
// it forgets those that KEDA does not ask about any more, else the newest.
func (r *refused) add(key uint64, ref *pb.ScaledObjectRef, t refusedTrigger) {
	t.check = hash(r.seed, ref)
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.triggers[key]
	switch {
	case known && before.err.Error() == t.err.Error():
		t.since = before.since
	case !known && r.full(t.namespace):
		maps.DeleteFunc(r.triggers, func(_ uint64, old refusedTrigger) bool { return t.asked.Sub(old.asked) > r.ttl })
		if r.full(t.namespace) {
			return
		}
	}
	r.triggers[key] = t
}

// full reports whether there is no room for another one of a namespace. mu is held.
func (r *refused) full(namespace string) bool {
	if len(r.triggers) >= maxRefused {
		return true
	}
	n := 0
	for _, t := range r.triggers {
		if t.namespace == namespace {
			n++
		}
	}
	return n >= maxRefusedPerNamespace
}

// remove forgets a trigger that is accepted now.
func (r *refused) remove(key uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.triggers, key)
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
