// Package election elects one of several replicas by a Lease of the API server: the one that writes.
//
// A replica leads for RenewDeadline after the request that renewed the Lease began. Another one takes
// the Lease once it has not seen it change for Duration, by its own clock alone. A write of the Lease
// carries the resource version that was read, so that of two replicas which take it one fails. Why
// this is not the election of client-go: docs/adr/0063-a-client-of-a-few-kinds.md.
package election

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The times of the Lease: those of the components of Kubernetes,
// https://github.com/kubernetes/kubernetes/blob/v1.36.0/staging/src/k8s.io/component-base/config/v1alpha1/defaults.go#L30
//
// A replica writes for RenewDeadline after it renewed the Lease, and one write takes WriteTimeout at
// most. Both together are less than Duration, after which another replica may write.
const (
	Duration      = 15 * time.Second
	RenewDeadline = 10 * time.Second
	WriteTimeout  = 4 * time.Second
	// retryPeriod is the time between two renewals. A candidate waits up to jitter times as long in
	// addition, so that candidates do not meet.
	retryPeriod = 2 * time.Second
	jitter      = 1.2
	// tryTimeout bounds the requests of one try, so that there is another one before RenewDeadline.
	tryTimeout = 5 * time.Second
)

// A Store has the Lease. Its errors are those of the API server: NotFound, AlreadyExists, and Conflict
// if the Lease has another resource version than the one that is written.
type Store interface {
	Get(ctx context.Context) (*coordinationv1.Lease, error)
	Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Options are what an election needs.
type Options struct {
	Store Store
	// Namespace and Name are those of the Lease.
	Namespace, Name string
	// Identity is unique among the replicas, and across their restarts.
	Identity   string
	Leadership *Leadership
	Logger     *slog.Logger
	// Now is the clock.
	Now func() time.Time
}

// An Election takes part in the election of the leader. It belongs to the goroutine that runs it.
type Election struct {
	Options

	// lease is what was read or written last; nil before. stored reports that the API server has it. A
	// Lease that was deleted stays here, because its holder may lead until it would have expired.
	lease  *coordinationv1.Lease
	stored bool
	// seen is when the spec of the Lease was seen to change.
	seen time.Time
	// unsettled reports that the Lease may have the identity of this replica.
	unsettled bool
	// failed reports that the last try failed, and led that this replica led after it.
	failed, led bool
}

// New makes an election.
func New(options Options) *Election { return &Election{Options: options} }

// Run takes part until the context ends, and releases the Lease then. A replica that lost the Lease
// goes on as a candidate. No write may be under way when the context ends.
func (e *Election) Run(ctx context.Context) {
	for {
		e.report(ctx, e.try(ctx))
		pause := retryPeriod
		if !e.led {
			pause += time.Duration(rand.Float64() * jitter * float64(retryPeriod)) //nolint:gosec // no secret
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			e.release(context.WithoutCancel(ctx))
			return
		case <-timer.C:
		}
	}
}

// report logs what has changed by a try: the first of several errors, and the end of a term.
func (e *Election) report(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if err != nil && !e.failed {
		e.Logger.Warn("take part in the election of the leader", slog.String("lease", e.Namespace+"/"+e.Name), slog.Any("error", err))
	}
	leads := e.Leadership.Leads()
	if e.led && !leads {
		e.Logger.Warn("no longer writes, because the lease was not renewed", slog.String("lease", e.Namespace+"/"+e.Name))
	}
	e.failed, e.led = err != nil, leads
}

// try renews the Lease, or takes it if no replica holds it.
func (e *Election) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if e.stored && e.holder() == e.Identity {
		// What was written last is usually what is stored, so it is not read again.
		if err := e.write(ctx, e.Identity); !lost(err) {
			return err
		}
	}
	if err := e.read(ctx); err != nil {
		return err
	}
	if holder := e.holder(); holder != "" && holder != e.Identity && e.Now().Before(e.seen.Add(e.duration())) {
		e.Leadership.released()
		return nil
	}
	err := e.write(ctx, e.Identity)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		// Another replica was faster.
		return nil
	}
	return err
}

// lost reports whether a write failed because the Lease is another one than was read.
func lost(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err)
}

// release lets another replica take the Lease at once.
func (e *Election) release(ctx context.Context) {
	e.Leadership.released()
	if !e.unsettled {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	err := e.read(ctx)
	if err == nil && e.stored && e.holder() == e.Identity {
		err = e.write(ctx, "")
	}
	if err != nil {
		e.Logger.Warn("release the lease", slog.String("lease", e.Namespace+"/"+e.Name), slog.Any("error", err))
	}
}

// read reads the Lease.
func (e *Election) read(ctx context.Context) error {
	lease, err := e.Store.Get(ctx)
	switch {
	case apierrors.IsNotFound(err):
		e.stored = false
		return nil
	case err != nil:
		return fmt.Errorf("read lease: %w", err)
	}
	// A change of the metadata is no sign of life of the holder.
	if e.lease == nil || !equality.Semantic.DeepEqual(e.lease.Spec, lease.Spec) {
		e.seen = e.Now()
	}
	e.lease, e.stored = lease, true
	e.unsettled = e.unsettled && e.holder() == e.Identity
	return nil
}

// write stores the Lease with a holder: this replica, or none.
func (e *Election) write(ctx context.Context, holder string) error {
	lease, send := e.next(holder), e.Store.Update
	if !e.stored {
		send = e.Store.Create
	}
	if holder == "" {
		e.Leadership.released()
	} else {
		e.unsettled = true
	}
	began := e.Now()
	written, err := send(ctx, lease)
	if err != nil {
		return fmt.Errorf("write lease: %w", err)
	}
	e.lease, e.stored = written, true
	if holder == "" {
		e.unsettled = false
	} else {
		e.Leadership.renewed(began)
	}
	return nil
}

// next returns the Lease with a holder. What others added to it stays.
func (e *Election) next(holder string) *coordinationv1.Lease {
	now := metav1.NewMicroTime(e.Now())
	next := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}}
	spec := coordinationv1.LeaseSpec{
		HolderIdentity: &holder, LeaseDurationSeconds: new(int32(Duration / time.Second)), AcquireTime: &now, RenewTime: &now, LeaseTransitions: new(int32(0)),
	}
	if e.stored {
		next = e.lease.DeepCopy()
		if next.Spec.LeaseTransitions != nil {
			*spec.LeaseTransitions = *next.Spec.LeaseTransitions
		}
		switch before := e.holder(); {
		case holder == "":
			// A client that ignores the missing holder waits this long.
			*spec.LeaseDurationSeconds = 1
		case before != holder:
			*spec.LeaseTransitions++
		case next.Spec.AcquireTime != nil:
			spec.AcquireTime = next.Spec.AcquireTime
		}
	}
	next.Spec = spec
	return next
}

// holder returns the identity of the replica that holds the Lease; empty if none does.
func (e *Election) holder() string {
	if e.lease == nil || e.lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *e.lease.Spec.HolderIdentity
}

// duration returns how long the holder may lead since the Lease was seen to change. It is that of the
// Lease, because the holder may be of another version.
func (e *Election) duration() time.Duration {
	if seconds := e.lease.Spec.LeaseDurationSeconds; seconds != nil {
		return time.Duration(*seconds) * time.Second
	}
	return Duration
}
