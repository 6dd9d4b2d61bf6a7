package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/election"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// maxConflicts is the number of tries of a jump that meets other writers.
const maxConflicts = 3

// writing is what this replica remembers of its writes for a policy while it leads.
type writing struct {
	jump    jumper
	contest contest
	// scaled is the resource version of the workload after the last write of replicas.
	scaled string
	// status is what was written last, at statusAt, with the resource version statusVersion.
	status        *v1alpha1.AutoscalerPolicyStatus
	statusVersion string
	statusAt      time.Time
	// events limits the events of the policy.
	events *rate.Limiter
}

// deeds are what was done for a policy in one reconciliation.
type deeds struct {
	// scaled reports that replicas were written.
	scaled bool
	// jumped reports that replicas were raised from one number to another.
	jumped   bool
	from, to int32
	// gaveUp reports that jumps are not repeated any more.
	gaveUp bool
	// contested is the field manager of another writer; empty if there is none.
	contested string
}

// write writes what was decided: replicas, deletion costs, and the status. It returns after which
// time to look at the policy again. While the first read of a signal is under way the status stays as
// another replica may have left it.
func (c *Controller) write(ctx context.Context, s *subject) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, election.WriteTimeout)
	defer cancel()
	if term := c.leadership.Term(); s.record.term != term {
		s.record.writing, s.record.term = writing{}, term
	}
	outcome, ok := c.runner.Outcome(s.policy.Namespace, s.policy.Name)
	if !ok || outcome.Generation != s.object.Generation || outcome.Unread() || older(s.workload.resourceVersion, s.record.writing.scaled) {
		return 0, nil
	}
	var done deeds
	var again time.Duration
	var failure error
	if s.err == nil {
		again, failure = c.act(ctx, s, &outcome, &done)
	}
	next, err := c.writeStatus(ctx, s, &outcome, &done)
	return sooner(again, next), errors.Join(failure, err)
}

// act writes replicas and deletion costs, unless the policy only observes, has no number, or was
// decided on other replicas than the current ones.
func (c *Controller) act(ctx context.Context, s *subject, outcome *policies.Outcome, done *deeds) (time.Duration, error) {
	w := &s.record.writing
	// What was seen counts, whether or not anything is written.
	done.gaveUp = w.jump.see(s.workload.replicas, s.now)
	w.contest.see(s.workload.replicas, s.workload.writer, s.now)
	if w.contest.contested(s.now) {
		done.contested = w.contest.manager
	}
	switch {
	case s.policy.Mode != policies.Enforce || !outcome.Decided() || outcome.Decision.State.Replicas != s.workload.replicas:
		return 0, nil
	case s.policy.Via == policies.ViaScale:
		again, err := c.scale(ctx, s, outcome, done)
		return again, errors.Join(err, c.writeCosts(ctx, s, outcome))
	default:
		return 0, errors.Join(c.jump(ctx, s, outcome, done), c.writeCosts(ctx, s, outcome))
	}
}

// scale writes the decided number, for a policy that alone scales its workload.
func (c *Controller) scale(ctx context.Context, s *subject, outcome *policies.Outcome, done *deeds) (time.Duration, error) {
	w := &s.record.writing
	if outcome.Replicas == s.workload.replicas || !s.owners.known {
		return 0, nil
	}
	if reason, _ := ownerConflict(s); reason != "" {
		return 0, nil
	}
	if pause := w.contest.pause(s.now); pause > 0 {
		return pause, nil
	}
	if err := c.writeReplicas(ctx, &s.workload, outcome.Replicas); err != nil {
		return 0, err
	}
	w.scaled, s.workload.writtenAt = s.workload.resourceVersion, s.now
	w.contest.wrote(outcome.Replicas, s.now)
	s.record.liveAt = time.Time{}
	done.scaled = true
	return 0, nil
}

// jump raises replicas to the number that is reported at this moment, so that the HPA computes the
// same one.
func (c *Controller) jump(ctx context.Context, s *subject, outcome *policies.Outcome, done *deeds) error {
	w := &s.record.writing
	driver, found := s.owners.driver(s.policy.Name)
	if !found || driver.paused || driver.scaleOutPaused {
		return nil
	}
	if reason, _ := ownerConflict(s); reason != "" {
		return nil
	}
	from, to := s.workload.replicas, min(outcome.Replicas, driver.max)
	if !w.jump.due(s.policy.Jump, from, to, outcome.Decision.Floor) {
		return nil
	}
	written, err := c.raise(ctx, s, to)
	if err != nil || !written {
		return err
	}
	w.scaled, s.workload.writtenAt = s.workload.resourceVersion, s.now
	w.jump.jumped(to, s.now)
	s.record.liveAt = time.Time{}
	done.scaled, done.jumped, done.from, done.to = true, true, from, to
	return nil
}

// raise writes a larger number of replicas. After a conflict, which is common because KEDA and the
// controller of the Deployment write at that moment, it reads the workload again. It reports
// whether the number was written: it is not if the workload has as many replicas or none.
func (c *Controller) raise(ctx context.Context, s *subject, to int32) (bool, error) {
	for try := 1; ; try++ {
		err := c.writeReplicas(ctx, &s.workload, to)
		if !apierrors.IsConflict(err) || try == maxConflicts {
			return err == nil, err
		}
		fresh, err := c.readLive(ctx, s.policy.Namespace, s.policy.Ref)
		if err != nil {
			return false, fmt.Errorf("read workload again: %w", err)
		}
		if fresh.replicas < 1 || fresh.replicas >= to || !c.reports(s, to) {
			return false, nil
		}
		s.workload = fresh
	}
}

// reports reports whether a number, or more, is reported at this moment.
func (c *Controller) reports(s *subject, replicas int32) bool {
	outcome, ok := c.runner.Outcome(s.policy.Namespace, s.policy.Name)
	return ok && outcome.Decided() && outcome.Replicas >= replicas
}

// older reports whether a resource version is older than another, so that an object was read before
// it was written. An unknown version is not.
func older(version, than string) bool {
	if than == "" || version == than {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order < 0
}
