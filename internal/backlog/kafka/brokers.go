package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// reviveInterval is the time between two questions to a broker that does not answer.
const reviveInterval = 200 * time.Millisecond

// errSilent is a broker that has not answered in time, and has not answered since.
var errSilent = fmt.Errorf("%w: the broker does not answer", backlog.ErrUnavailable)

// A sender sends requests to brokers, each on the connection that the library holds for its kind:
// one for questions, and one for fetches that wait. Several goroutines may use it.
//
// A broker that exceeds the time of one answer is silent from then on: requests to it fail at once,
// so that it delays no read of partitions on other brokers. A goroutine asks it until it answers.
type sender struct {
	client  *kgo.Client
	timeout time.Duration

	// life ends the goroutines of revivals.
	life     context.Context //nolint:containedctx // it is the life of the goroutines that ask starts
	revivals sync.WaitGroup

	mu sync.Mutex
	// silent are the brokers that do not answer. closed reports that no goroutine may begin.
	silent map[int32]struct{}
	closed bool
	// next counts requests that any broker can answer.
	next int
}

func newSender(life context.Context, client *kgo.Client, timeout time.Duration) *sender {
	return &sender{client: client, timeout: timeout, life: life, silent: make(map[int32]struct{})}
}

// close waits for the goroutines. Their context has ended.
func (s *sender) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.revivals.Wait()
}

// ask sends a request to a broker, and waits for its answer as long as one may take.
func (s *sender) ask(ctx context.Context, broker int32, r kmsg.Request) (answer kmsg.Response, err error) {
	defer backlog.Contain(&err)
	if s.isSilent(broker) {
		return nil, fmt.Errorf("ask broker %d: %w", broker, errSilent)
	}
	bounded, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	answer, err = s.client.Broker(int(broker)).Request(bounded, r)
	if err == nil {
		return answer, nil
	}
	if ctx.Err() == nil && (bounded.Err() != nil || network.IsTimeout(err)) {
		s.Silence(broker) //nolint:contextcheck // its goroutine lives as long as the source
	}
	return nil, fmt.Errorf("ask broker %d: %w", broker, withReason(err))
}

// Fetch implements tail.Brokers, on the connection that the library has for fetches.
func (s *sender) Fetch(ctx context.Context, broker int32, r *kmsg.FetchRequest) (*kmsg.FetchResponse, error) {
	if s.isSilent(broker) {
		return nil, errSilent
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(r.MaxWaitMillis)*time.Millisecond+s.timeout)
	defer cancel()
	answer, err := s.client.Broker(int(broker)).Request(ctx, r)
	if err != nil {
		return nil, err
	}
	response, ok := answer.(*kmsg.FetchResponse)
	if !ok {
		return nil, fmt.Errorf("%w: the broker answers with %T", backlog.ErrMismatch, answer)
	}
	return response, nil
}

func (s *sender) isSilent(broker int32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, silent := s.silent[broker]
	return silent
}

// Silence implements tail.Brokers.
func (s *sender) Silence(broker int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.silent[broker]; known || s.closed {
		return
	}
	s.silent[broker] = struct{}{}
	s.revivals.Go(func() {
		s.revive(broker)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.silent, broker)
	})
}

// revive asks a broker until it answers, whatever the answer, or is gone.
func (s *sender) revive(broker int32) {
	ticker := time.NewTicker(reviveInterval)
	defer ticker.Stop()
	for {
		bounded, cancel := context.WithTimeout(s.life, s.timeout)
		_, err := s.client.Broker(int(broker)).Request(bounded, versionsRequest())
		cancel()
		if err == nil || !network.IsTimeout(err) && !errors.Is(err, context.DeadlineExceeded) {
			return
		}
		select {
		case <-s.life.Done():
			return
		case <-ticker.C:
		}
	}
}

func versionsRequest() *kmsg.ApiVersionsRequest {
	r := kmsg.NewPtrApiVersionsRequest()
	r.ClientSoftwareName, r.ClientSoftwareVersion = clientName, "1"
	return r
}

// pick returns one of the brokers that answers, each by turns; false if there is none.
func (s *sender) pick(brokers []int32) (broker int32, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range brokers {
		s.next++
		broker = brokers[s.next%len(brokers)]
		if _, silent := s.silent[broker]; !silent {
			return broker, true
		}
	}
	return 0, false
}

// An answer is that of one broker.
type answer struct {
	request  kmsg.Request
	response kmsg.Response
	err      error
}

// askAll sends requests of one or several kinds, of each one to a broker, at the same time, and returns
// their answers.
func (s *sender) askAll(ctx context.Context, kinds ...map[int32]kmsg.Request) []answer {
	n := 0
	for _, requests := range kinds {
		n += len(requests)
	}
	answers := make([]answer, 0, n)
	var tasks sync.WaitGroup
	for _, requests := range kinds {
		for broker, request := range requests {
			answers = append(answers, answer{request: request})
			one := &answers[len(answers)-1]
			tasks.Go(func() { one.response, one.err = s.ask(ctx, broker, request) })
		}
	}
	tasks.Wait()
	return answers
}
