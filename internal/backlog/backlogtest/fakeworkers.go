package backlogtest

import (
	"errors"
	"maps"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

var errAnonymous = errors.New("the consumers of the group anonymous have no names")

// checkWorkers reports that the workers of the consumer group "anonymous" are not known.
func checkWorkers(q backlog.Query) error {
	if q.Params.Get("consumerGroup") == "anonymous" {
		return errAnonymous
	}
	return nil
}

// SetWorkers sets whether each worker of the queue is busy. It wakes no query.
func (f *Fake) SetWorkers(queue string, workers map[string]bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.workers[queue] = maps.Clone(workers)
}

// answerWorkers answers a query with Workers. mu is held.
func (f *Fake) answerWorkers(q backlog.Query) backlog.Result {
	workers := f.workers[q.Queue]
	if workers == nil {
		workers = make(map[string]bool)
	}
	return backlog.Result{Reading: backlog.Reading{At: time.Now(), Workers: workers}}
}
