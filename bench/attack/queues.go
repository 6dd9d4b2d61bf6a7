package attack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// patterns asks about as many queues as a pattern may match, all with work.
func patterns(ctx context.Context, a *attacker) error {
	queues := make([]string, 10_000)
	for i := range queues {
		queues[i] = fmt.Sprintf("%smany-%d", prefix, i)
	}
	if err := a.fill(ctx, queues); err != nil {
		return err
	}
	time.AfterFunc(3*time.Second, a.ready)
	r := ref("many", map[string]string{"list": prefix + "many-*"})
	a.open(ctx, 0, r)
	paced(ctx, 10, 2, func(i int) { a.ask(ctx, i, r) })
	return nil
}

// hold changes all queues of a trigger each second, so that each reading differs from the
// one before and none can be left out of the history.
func hold(ctx context.Context, a *attacker) error {
	queues := make([]string, 1000)
	for i := range queues {
		queues[i] = fmt.Sprintf("%sheld-%d", prefix, i)
	}
	if err := a.fill(ctx, queues); err != nil {
		return err
	}
	time.AfterFunc(3*time.Second, a.ready)
	r := ref("held", map[string]string{"list": strings.Join(queues, ","), "hold": "1h"})
	a.open(ctx, 0, r)
	var writing sync.WaitGroup
	writing.Go(func() {
		paced(ctx, 1, 1, func(int) {
			// What is not written this second is written the next.
			_ = a.fill(ctx, queues)
		})
	})
	paced(ctx, 10, 2, func(i int) { a.ask(ctx, i, r) })
	writing.Wait()
	return nil
}
