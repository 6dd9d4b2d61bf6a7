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

	"github.com/backlog-scaler/backlog-scaler/internal/server/refcodec"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A rejectedTrigger is one that KEDA asks about and that has faults, or names a connection
// that it may not use. It is immutable.
type rejectedTrigger struct {
	namespace, scaledObject string
	metadata                map[string]string
	// err is the status that KEDA gets.
	err error
	// cause is the error of the trigger, catalog the one that it was parsed with, and check
	// a second hash of the reference: the same catalog does not parse it again.
	cause      error
	catalog    *trigger.Catalog
	check      uint64
	lastCall   time.Time
	lastMethod method
	since      time.Time
}

// The bounds of what is remembered of a rejected trigger: the number of keys, and lengths in
// bytes. A rejected reference can be of any size.
const (
	maxKeys        = 20
	maxValueLength = 100
	maxNameLength  = 253
)

func newRejectedTrigger(catalog *trigger.Catalog, ref *pb.ScaledObjectRef, by method, err error, now time.Time) rejectedTrigger {
	s := status.Convert(toStatus(err))
	return rejectedTrigger{
		namespace:    truncate(ref.GetNamespace(), maxNameLength),
		scaledObject: truncate(ref.GetName(), maxNameLength),
		metadata:     redact(catalog, ref.GetScalerMetadata()),
		err:          s.Err(),
		cause:        err, catalog: catalog,
		lastCall: now, lastMethod: by, since: now,
	}
}

// The bounds of how many rejected triggers are remembered. Each takes some 10 KiB.
const (
	maxRejected             = 2000
	maxRejectedPerNamespace = 200
	// rejectedSweep is the least time between two searches for triggers that KEDA no longer
	// asks about. A search among many takes long.
	rejectedSweep = time.Second
)

// redacted replaces a value that may be a secret.
const redacted = "[redacted]"

// redact returns metadata that can be shown. The value of an unknown key, and one that KEDA
// took from the environment of a container, may be a secret.
func redact(catalog *trigger.Catalog, metadata map[string]string) map[string]string {
	result := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if len(result) == maxKeys {
			break
		}
		value := redacted
		if catalog.Knows(key) {
			value = truncate(metadata[key], maxValueLength)
		}
		result[truncate(key, maxValueLength)] = value
	}
	return result
}

// truncate returns text as valid UTF-8 with at most most bytes and an ellipsis.
func truncate(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "")
}

// rejectedTriggers are the rejected triggers that KEDA recently asked about.
type rejectedTriggers struct {
	ttl time.Duration
	// seed is that of rejectedTrigger.check.
	seed maphash.Seed

	// mu guards what follows. It is a leaf. The keys of triggers are the hashes of what KEDA
	// sends; count is the number of triggers by namespace.
	mu       sync.Mutex
	triggers map[uint64]rejectedTrigger
	count    map[string]int
	swept    time.Time
}

func newRejectedTriggers(ttl time.Duration) *rejectedTriggers {
	return &rejectedTriggers{ttl: ttl, seed: maphash.MakeSeed(), triggers: map[uint64]rejectedTrigger{}, count: map[string]int{}}
}

// find returns the cause why the same catalog rejected the same reference before; else nil.
func (r *rejectedTriggers) find(key uint64, ref *pb.ScaledObjectRef, catalog *trigger.Catalog, by method, now time.Time) error {
	r.mu.Lock()
	t, known := r.triggers[key]
	r.mu.Unlock()
	// A reference may be large, so it is hashed without the lock.
	if !known || t.catalog != catalog || t.check != refcodec.Hash(r.seed, ref) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if latest, still := r.triggers[key]; still && latest.check == t.check {
		latest.lastCall, latest.lastMethod = now, by
		r.triggers[key] = latest
	}
	return t.cause
}

// add stores a rejected trigger, which build returns, if there is room. Where there are too
// many, in its namespace or in all, those that KEDA no longer asks about make room.
func (r *rejectedTriggers) add(key uint64, ref *pb.ScaledObjectRef, now time.Time, build func() rejectedTrigger) {
	if !r.room(key, truncate(ref.GetNamespace(), maxNameLength), now) {
		return
	}
	t := build()
	t.check = refcodec.Hash(r.seed, ref)
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.triggers[key]
	if known && before.err.Error() == t.err.Error() {
		t.since = before.since
	}
	r.forget(key)
	r.triggers[key] = t
	r.count[t.namespace]++
}

// room reports whether one more trigger of a namespace may be stored.
func (r *rejectedTriggers) room(key uint64, namespace string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.triggers[key]; known {
		return true
	}
	full := func() bool {
		return len(r.triggers) >= maxRejected || r.count[namespace] >= maxRejectedPerNamespace
	}
	if full() && now.Sub(r.swept) > rejectedSweep {
		r.swept = now
		for old, t := range r.triggers {
			if now.Sub(t.lastCall) > r.ttl {
				r.forget(old)
			}
		}
	}
	return !full()
}

// forget removes a trigger. mu is held.
func (r *rejectedTriggers) forget(key uint64) {
	t, known := r.triggers[key]
	if !known {
		return
	}
	delete(r.triggers, key)
	r.count[t.namespace]--
	if r.count[t.namespace] == 0 {
		delete(r.count, t.namespace)
	}
}

// remove removes a trigger that is accepted now.
func (r *rejectedTriggers) remove(key uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(key)
}

// wanted returns the rejected triggers that KEDA still asks about, by their hash.
func (r *rejectedTriggers) wanted(now time.Time) map[uint64]rejectedTrigger {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := map[uint64]rejectedTrigger{}
	for key, t := range r.triggers {
		if now.Sub(t.lastCall) <= r.ttl {
			wanted[key] = t
		}
	}
	return wanted
}
