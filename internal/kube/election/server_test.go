package election

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// A server has one Lease, with the errors of the API server.
type server struct {
	mu      sync.Mutex // guards what follows
	lease   *coordinationv1.Lease
	version int
	// writes counts those that were stored.
	writes int
	// broken fails every request; during is called while a write is under way.
	broken error
	during func()
}

var errAway = errors.New("no route")

func resource() schema.GroupResource { return schema.GroupResource{Resource: "leases"} }

func (s *server) Get(context.Context) (*coordinationv1.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken != nil:
		return nil, s.broken
	case s.lease == nil:
		return nil, apierrors.NewNotFound(resource(), "scaler")
	default:
		return s.lease.DeepCopy(), nil
	}
}

func (s *server) Create(_ context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return s.write(lease, func() error {
		if s.lease != nil {
			return apierrors.NewAlreadyExists(resource(), lease.Name)
		}
		return nil
	})
}

func (s *server) Update(_ context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return s.write(lease, func() error {
		switch {
		case s.lease == nil:
			return apierrors.NewNotFound(resource(), lease.Name)
		case s.lease.ResourceVersion != lease.ResourceVersion:
			return apierrors.NewConflict(resource(), lease.Name, errors.New("changed"))
		default:
			return nil
		}
	})
}

func (s *server) write(lease *coordinationv1.Lease, check func() error) (*coordinationv1.Lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.during != nil {
		s.during()
	}
	if s.broken != nil {
		return nil, s.broken
	}
	if err := check(); err != nil {
		return nil, err
	}
	s.store(lease)
	return s.lease.DeepCopy(), nil
}

func (s *server) store(lease *coordinationv1.Lease) {
	s.version++
	s.writes++
	s.lease = lease.DeepCopy()
	s.lease.ResourceVersion = strconv.Itoa(s.version)
}

// hold has another client hold the Lease.
func (s *server) hold(holder string, seconds int32, renewed time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "scaler"}}
	if s.lease != nil {
		lease = s.lease.DeepCopy()
	}
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &holder, &seconds, new(metav1.NewMicroTime(renewed))
	s.store(lease)
}

// touch changes the metadata of the Lease, as a tool that labels objects does.
func (s *server) touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		return
	}
	lease := s.lease.DeepCopy()
	metav1.SetMetaDataLabel(&lease.ObjectMeta, "touched", strconv.Itoa(s.version))
	s.store(lease)
}

func (s *server) breakDown(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

func (s *server) spec(t *testing.T) coordinationv1.LeaseSpec {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		t.Fatal("no lease")
	}
	return s.lease.Spec
}
