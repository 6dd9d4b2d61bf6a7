package e2e_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/backlog-scaler/backlog-scaler/e2e/report"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// A phaseWatch notes when KEDA makes the HPAs of a namespace. Their own times are whole seconds.
type phaseWatch struct {
	watching watch.Interface
	ended    sync.WaitGroup

	// mu guards seen, the times by the name of the Deployment.
	mu   sync.Mutex
	seen map[string]time.Time
}

// watchPhases begins to watch a namespace, until the test ends.
func (s *suite) watchPhases(t *testing.T, namespace string) *phaseWatch {
	t.Helper()
	watching, err := s.stage.Clients.Kubernetes.AutoscalingV2().HorizontalPodAutoscalers(namespace).Watch(s.ctx, metav1.ListOptions{})
	check(t, err)
	p := &phaseWatch{watching: watching, seen: make(map[string]time.Time)}
	p.ended.Go(func() {
		for event := range watching.ResultChan() {
			if hpa, ok := event.Object.(*autoscalingv2.HorizontalPodAutoscaler); ok && event.Type == watch.Added {
				p.mu.Lock()
				p.seen[strings.TrimPrefix(hpa.Name, "keda-hpa-")] = time.Now()
				p.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		watching.Stop()
		p.ended.Wait()
	})
	return p
}

// made waits until there is an HPA for each of the rounds, and notes when it was made.
func (p *phaseWatch) made(ctx context.Context, t *testing.T, rounds []*round) {
	t.Helper()
	check(t, childprocess.Poll(ctx, "the HPAs of the comparison", time.Minute, 100*time.Millisecond, func(context.Context) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range rounds {
			at, found := p.seen[r.list]
			if !found {
				return fmt.Errorf("%s has none", r.list)
			}
			r.scaled = at
		}
		return nil
	}))
}

// madeBefore returns when the ScaledObjects of rounds and their HPAs were made.
func madeBefore(t *testing.T, rounds []*round, began time.Time) []report.Made {
	t.Helper()
	var all []report.Made
	for _, r := range rounds {
		m := report.Made{ScaledObject: began.Sub(r.made), HPA: began.Sub(r.scaled)}
		if m.HPA <= 0 || m.HPA > m.ScaledObject {
			t.Errorf("%s: the ScaledObject was made %s before the trace, and its HPA %s", r.list, m.ScaledObject, m.HPA)
		}
		all = append(all, m)
	}
	return all
}
