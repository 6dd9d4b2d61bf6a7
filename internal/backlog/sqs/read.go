package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// attributeNames are what is asked of each queue.
func attributeNames() []types.QueueAttributeName {
	return []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed, types.QueueAttributeNameCreatedTimestamp,
	}
}

// errNoCall is a queue for which there was no call yet, because there are many or callsPerMinute is used up.
var errNoCall = fmt.Errorf("%w: the queue waits for its first call", backlog.ErrUnavailable)

// Read implements backlog.Source. Each query is a call of its own. What concerns the connection ends them all.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	before := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	own := results[before:]
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		for i, q := range queries {
			own[i] = s.failure(q, err, true)
		}
		return results
	}
	defer leave()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	began := time.Now()
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(maxConnections, len(queries)) {
		workers.Go(func() {
			for i := range next {
				own[i] = s.readOne(ctx, queries[i], began)
				if err := own[i].Err; err != nil && !own[i].Pending && isOutage(err) {
					end(err)
				}
			}
		})
	}
	first := make(map[backlog.Query]int, len(queries))
	for i, q := range queries {
		if _, again := first[q]; !again {
			first[q] = i
		}
	}
	for _, i := range s.inOrder(queries, first) {
		next <- i
	}
	close(next)
	workers.Wait()
	for i, q := range queries {
		own[i] = own[first[q]]
	}
	return results
}

// inOrder returns the queries to read: first those that the reads before have left.
func (s *source) inOrder(queries []backlog.Query, first map[backlog.Query]int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	left, others := make([]int, 0, len(first)), make([]int, 0, len(first))
	for i, q := range queries {
		switch one := s.queues[q]; {
		case first[q] != i:
		case one != nil && one.postponed > 0:
			left = append(left, i)
		default:
			others = append(others, i)
		}
	}
	return append(left, others...)
}

// readOne reads the queue of a query, in a read that began at a time. An outage may have ended that.
func (s *source) readOne(ctx context.Context, q backlog.Query, began time.Time) backlog.Result {
	if outage := outageOf(ctx); outage != nil {
		return s.failure(q, outage, true)
	}
	now := time.Now()
	one, err := s.queueOf(q, now)
	switch {
	case errors.Is(err, errNoSuchName):
		return missing(now)
	case err != nil:
		return s.failure(q, err, false)
	}
	switch {
	case now.Sub(began) >= longestRead:
		return s.postpone(q, one, goOn)
	case !s.budget.AllowN(now, 1):
		return s.postpone(q, one, refill)
	}
	n, err := s.ask(ctx, one)
	if outage := outageOf(ctx); err != nil && outage != nil {
		err = outage
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one.postponed = 0
	switch {
	case err != nil && isMissing(err):
		one.history, one.url = history{worked: one.worked}, one.name.url
		return missing(time.Now())
	case err != nil:
		one.interrupt()
		return s.failure(q, err, isOutage(err))
	}
	result := one.judge(n.reading(one.counting, time.Now()), s.emptyFor)
	if result.Err != nil {
		failure := s.failure(q, result.Err, false)
		failure.Pending = true
		return failure
	}
	return result
}

// missing is the result of a queue that does not exist.
func missing(at time.Time) backlog.Result {
	return backlog.Result{Reading: backlog.Reading{At: at, Missing: true, InFlight: backlog.Exactly(0)}}
}

// outageOf returns what has ended a read; nil if nothing has.
func outageOf(ctx context.Context) error {
	if outage, is := errors.AsType[*backlog.ReadError](context.Cause(ctx)); is {
		return outage.Err
	}
	return nil
}

// postpone returns the result of a queue that is read later: what is known of it, with its time.
func (s *source) postpone(q backlog.Query, one *queue, pause time.Duration) backlog.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	one.postponed = pause
	if one.last.At.IsZero() {
		failure := s.failure(q, errNoCall, false)
		failure.Pending = true
		return failure
	}
	return backlog.Result{Reading: one.last, Pending: true}
}

// ask asks for the numbers of a queue. One goroutine at a time asks for the same queue.
func (s *source) ask(ctx context.Context, one *queue) (n numbers, err error) {
	if one.url == "" {
		if one.url, err = s.find(ctx, one.name); err != nil {
			return n, err
		}
	}
	err = s.call(ctx, func(ctx context.Context) error {
		answer, err := s.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &one.url, AttributeNames: attributeNames()})
		if err != nil {
			return err
		}
		n, err = parseNumbers(answer.Attributes)
		return err
	})
	return n, err
}

// find returns the URL of a queue.
func (s *source) find(ctx context.Context, n name) (found string, err error) {
	err = s.call(ctx, func(ctx context.Context) error {
		answer, err := s.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &n.queue, QueueOwnerAWSAccountId: override(n.account)})
		if err != nil {
			return err
		}
		if answer.QueueUrl == nil || *answer.QueueUrl == "" || len(*answer.QueueUrl) > maxURL {
			return fmt.Errorf("%w: the service answers no URL of the queue", backlog.ErrPartial)
		}
		found = *answer.QueueUrl
		return nil
	})
	return found, err
}

// call makes a call, which takes answerTimeout at most. Its error wraps one of backlog's errors, or is that the
// queue is missing.
func (s *source) call(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	s.calls.Add(1)
	err := func() (err error) {
		defer backlog.Contain(&err)
		return ask(ctx)
	}()
	switch {
	case errors.Is(err, backlog.ErrPanic):
		s.log.Error("a call caused a panic", "err", err)
	case err == nil, codeOf(err) != "" && !isWithoutCredentials(err):
		s.worked.Store(true)
	}
	if err == nil || isMissing(err) || isKnown(err) {
		return err
	}
	err = failed(err)
	return backlog.WithAdvice(err, advice(err, s.worked.Load()))
}

// isKnown reports whether err already wraps one of backlog's errors.
func isKnown(err error) bool {
	return errors.Is(err, backlog.ErrPartial) || errors.Is(err, backlog.ErrMismatch)
}

// isForbidden reports whether the service knows the user, who may not do what was asked.
func isForbidden(err error) bool {
	service, is := errors.AsType[*serviceError](err)
	return is && errors.Is(err, backlog.ErrDenied) && isAccessDenied(codeOf(service.err))
}

// countingOf returns how a trigger counts.
func countingOf(q backlog.Query) counting {
	groups, err := strconv.ParseInt(q.Params.Get(paramGroups), 10, 64)
	if err != nil {
		groups = 0
	}
	return counting{delayed: q.Params.Get(paramDelayed) == "true", groups: groups}
}

// failure returns the result of a query that failed. whole reports that the error concerns the connection.
func (s *source) failure(q backlog.Query, err error, whole bool) backlog.Result {
	return backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.name, Err: err, Whole: whole}}
}
