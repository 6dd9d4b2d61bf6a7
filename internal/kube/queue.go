package kube

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// The delays of a policy whose reconciliation failed.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = time.Minute
)

// A queue holds the policies that are to be looked at. A policy is in it once, and no two workers
// have the same one.
type queue struct {
	keys      workqueue.TypedRateLimitingInterface[policies.Key]
	reconcile func(context.Context, policies.Key) (time.Duration, error)
	logger    *slog.Logger
}

func newQueue(reconcile func(context.Context, policies.Key) (time.Duration, error), logger *slog.Logger) *queue {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[policies.Key](minBackoff, maxBackoff)
	return &queue{keys: workqueue.NewTypedRateLimitingQueue(limiter), reconcile: reconcile, logger: logger}
}

// add adds a policy.
func (q *queue) add(key policies.Key) { q.keys.Add(key) }

// addAfter adds a policy after a delay.
func (q *queue) addAfter(key policies.Key, delay time.Duration) { q.keys.AddAfter(key, delay) }

// run works until the context ends, and returns when all workers have ended.
func (q *queue) run(ctx context.Context, workers int) {
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for q.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	q.keys.ShutDown()
	group.Wait()
}

// next reconciles one policy; false at the end.
func (q *queue) next(ctx context.Context) bool {
	key, down := q.keys.Get()
	if down {
		return false
	}
	defer q.keys.Done(key)
	again, err := q.contained(ctx, key)
	switch {
	case ctx.Err() != nil:
	case apierrors.IsConflict(err):
		// What has changed arrives by the watch, usually before this.
		q.keys.AddAfter(key, minBackoff)
	case err != nil:
		q.logger.Warn("reconcile policy", slog.String("namespace", key.Namespace), slog.String("policy", key.Name), slog.Any("error", err))
		q.keys.AddRateLimited(key)
	default:
		q.keys.Forget(key)
		if again > 0 {
			q.keys.AddAfter(key, again)
		}
	}
	return true
}

// errPanic is a panic in the reconciliation of one policy. The others go on.
var errPanic = errors.New("panic")

func (q *queue) contained(ctx context.Context, key policies.Key) (again time.Duration, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = fmt.Errorf("%w: %v", errPanic, value)
		}
	}()
	return q.reconcile(ctx, key)
}
