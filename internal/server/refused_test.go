package server

import (
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestRefusalIsRemembered: the very reference that was refused is not parsed again by the
// same catalog, and any other is.
func TestRefusalIsRemembered(t *testing.T) {
	t.Parallel()
	ref := func(value string) *pb.ScaledObjectRef {
		return &pb.ScaledObjectRef{Namespace: "shop", Name: "worker", ScalerMetadata: map[string]string{"list": value}}
	}
	catalog, other := trigger.NewCatalog(nil, nil), trigger.NewCatalog(nil, nil)
	cause := trigger.MetadataError{{Text: "wrong"}}
	now := time.Now()
	r := newRefused(time.Minute)
	r.add(1, ref("a"), newRefusedTrigger(catalog, ref("a"), methodIsActive, cause, now))
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
			if err := r.again(tc.key, ref(tc.value), tc.catalog, methodIsActive, now); (err != nil) != tc.known {
				t.Errorf("got %v", err)
			}
		})
	}
}
