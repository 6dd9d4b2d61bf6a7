package server

import (
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
	err   error
	asked time.Time
	by    method
	since time.Time
}

// The bounds of what is remembered of a refused trigger, in bytes but for
// maxShownKeys. What was refused can be of any size.
const (
	maxShownKeys  = 50
	maxShownValue = 100
	maxShownName  = 253
	maxShownText  = 4096
)

func newRefusedTrigger(catalog *trigger.Catalog, ref *pb.ScaledObjectRef, by method, err error, now time.Time) refusedTrigger {
	s := status.Convert(toStatus(err))
	return refusedTrigger{
		namespace:    cut(ref.GetNamespace(), maxShownName),
		scaledObject: cut(ref.GetName(), maxShownName),
		metadata:     shown(catalog, ref.GetScalerMetadata()),
		err:          status.Error(s.Code(), cut(s.Message(), maxShownText)),
		asked:        now, by: by, since: now,
	}
}

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

	// mu guards triggers, whose keys are the hashes of what KEDA sends.
	mu       sync.Mutex
	triggers map[uint64]refusedTrigger
}

func newRefused(ttl time.Duration) *refused {
	return &refused{ttl: ttl, triggers: map[uint64]refusedTrigger{}}
}

// add remembers a refused trigger. When there are too many it forgets those that
// nobody asked for in a while, else the newest.
func (r *refused) add(key uint64, t refusedTrigger) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.triggers[key]
	switch {
	case known && before.err.Error() == t.err.Error():
		t.since = before.since
	case !known && len(r.triggers) >= maxRefusals:
		maps.DeleteFunc(r.triggers, func(_ uint64, old refusedTrigger) bool { return t.asked.Sub(old.asked) > r.ttl })
		if len(r.triggers) >= maxRefusals {
			return
		}
	}
	r.triggers[key] = t
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
