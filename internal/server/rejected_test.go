package server

import (
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestRejectionIsRemembered: the very reference that was refused is not parsed again by the
// same catalog, and any other is.
func TestRejectionIsRemembered(t *testing.T) {
	t.Parallel()
	ref := func(value string) *pb.ScaledObjectRef {
		return &pb.ScaledObjectRef{Namespace: "shop", Name: "worker", ScalerMetadata: map[string]string{"list": value}}
	}
	catalog, other := trigger.NewCatalog(nil, nil), trigger.NewCatalog(nil, nil)
	cause := trigger.MetadataError{{Text: "wrong"}}
	now := time.Now()
	r := newRejectedTriggers(time.Minute)
	r.add(1, ref("a"), now, func() rejectedTrigger { return newRejectedTrigger(catalog, ref("a"), methodIsActive, cause, now) })
	for _, tc := range []struct {
		name    string
		key     uint64
		value   string
		catalog *trigger.Catalog
		known   bool
	}{
		{"the same", 1, "a", catalog, true},
		{"another of the same hash", 1, "b", catalog, false},
		{"another hash", 2, "a", catalog, false},
		{"another catalog", 1, "a", other, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if err := r.find(tc.key, ref(tc.value), tc.catalog, methodIsActive, now); (err != nil) != tc.known {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestRejectionsOfANamespaceAreBounded: one namespace leaves room for another, and those that KEDA forgot make room.
func TestRejectionsOfANamespaceAreBounded(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := newRejectedTriggers(time.Minute)
	add := func(key uint64, namespace string) bool {
		built := false
		ref := &pb.ScaledObjectRef{Namespace: namespace, Name: "worker"}
		r.add(key, ref, now, func() rejectedTrigger {
			built = true
			return newRejectedTrigger(trigger.NewCatalog(nil, nil), ref, methodIsActive, trigger.MetadataError{{Text: "wrong"}}, now)
		})
		return built
	}
	for key := range uint64(maxRejectedPerNamespace) {
		if !add(key, "many") {
			t.Fatalf("trigger %d of a namespace is not remembered", key)
		}
	}
	if add(maxRejectedPerNamespace, "many") {
		t.Errorf("more than %d of a namespace are remembered", maxRejectedPerNamespace)
	}
	if !add(maxRejectedPerNamespace+1, "few") || !add(0, "many") {
		t.Error("another namespace, or a trigger that is known, finds no room")
	}
	r.remove(1)
	if !add(maxRejectedPerNamespace, "many") {
		t.Error("a trigger that was removed left no room")
	}
	now = now.Add(2 * time.Minute)
	if !add(maxRejectedPerNamespace+2, "many") || len(r.triggers) != 1 || len(r.count) != 1 {
		t.Errorf("those that KEDA forgot stayed: %d triggers, %v", len(r.triggers), r.count)
	}
}
