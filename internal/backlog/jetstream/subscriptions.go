package jetstream

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// settle is how long after the server has confirmed a subscription a read must begin to be armed.
	// The interest travels on to the other servers of a cluster meanwhile, which a client cannot observe,
	// and a message that was published before it is stored.
	settle = 500 * time.Millisecond
	// storing is for how long after a message that woke the queue is not armed. A subscriber gets the
	// message while the stream stores and replicates it, so that the next read may not see it yet.
	storing = time.Second
	// deniedRetry is for how long a subscription that was refused is not tried again.
	deniedRetry = time.Minute
	// maxSubscriptions bounds those of a connection, and maxSubjects those of one queue.
	maxSubscriptions = 20_000
	maxSubjects      = 32
	// maxFired is how many messages that wake may wait to be handled. What is dropped beyond it is
	// reported by the library, and wakes too.
	maxFired = 4096
)

// repeats is when a queue is woken again after a message: the first read may come before the message is
// stored and counted.
func repeats() []time.Duration { return []time.Duration{10 * time.Millisecond, 60 * time.Millisecond} }

// subscriptions are those with which a session notices messages of idle queues. A queue is armed like
// this:
//
//  1. A read finds it idle, and subscribes to its subjects, each for one message.
//  2. The server confirms that, or refuses it.
//  3. A read that begins settle later finds it idle again, while no message has come: it is armed.
//  4. A message comes. The server ends the subscription, and the queue is woken.
//
// The goroutine that reads subscribes, the one that handles messages fires, and those of the library
// refuse.
type subscriptions struct {
	// fired receives the messages.
	fired  chan *nats.Msg
	alarms *alarms

	mu sync.Mutex
	// bySubject has those that are subscribed and had no message; bySub has the same.
	bySubject map[string]*subscription
	bySub     map[*nats.Subscription]*subscription
	// early has those whose message came before they were registered, and dead those that were refused,
	// which the library has to forget.
	early map[*nats.Subscription]struct{}
	dead  []*nats.Subscription
	// denied has the subjects that the user may not subscribe to, and until when, and full why the
	// server allows no more.
	denied map[string]time.Time
	full   string
	// rests has until when a query is not armed after a message.
	rests map[backlog.Query]time.Time
}

// A subscription is to one subject, for the queries whose messages may come there.
type subscription struct {
	subject string
	sub     *nats.Subscription
	queries map[backlog.Query]struct{}
	// confirmed is when the server had confirmed it; zero before.
	confirmed time.Time
}

func newSubscriptions(a *alarms) *subscriptions {
	return &subscriptions{
		fired: make(chan *nats.Msg, maxFired), alarms: a,
		bySubject: make(map[string]*subscription), bySub: make(map[*nats.Subscription]*subscription),
		early: make(map[*nats.Subscription]struct{}), denied: make(map[string]time.Time), rests: make(map[backlog.Query]time.Time),
	}
}

// armed reports whether a message on any of the subjects wakes the query, and did so since a read began.
func (s *subscriptions) armed(q backlog.Query, subjects []string, began time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subject := range subjects {
		one := s.bySubject[subject]
		if one == nil || one.confirmed.IsZero() || began.Sub(one.confirmed) < settle {
			return false
		}
		if _, known := one.queries[q]; !known {
			return false
		}
	}
	return len(subjects) > 0
}

// subscribe subscribes to subjects for a query that is idle. It reports whether the server has to confirm
// something, and why that cannot be. Only the goroutine that reads calls it.
func (s *subscriptions) subscribe(conn *nats.Conn, q backlog.Query, subjects []string, now time.Time) (unconfirmed bool, reason string) {
	missing, reason := s.missing(q, subjects, now)
	if reason != "" || missing == nil {
		return false, reason
	}
	for _, subject := range missing {
		// The library only writes to its buffer, or waits for the server; so no lock is held.
		sub, err := conn.ChanSubscribe(subject, s.fired)
		if err == nil {
			err = sub.AutoUnsubscribe(1)
		}
		if err != nil {
			return true, "the subscription failed: " + backlog.Line(err.Error())
		}
		s.register(&subscription{subject: subject, sub: sub, queries: make(map[backlog.Query]struct{})})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, subject := range subjects {
		one := s.bySubject[subject]
		if one == nil {
			continue // it had its message, or was refused
		}
		if _, known := one.queries[q]; !known {
			one.queries[q] = struct{}{}
			// What came before was not for this query.
			one.confirmed = time.Time{}
		}
		unconfirmed = unconfirmed || one.confirmed.IsZero()
	}
	return unconfirmed, ""
}

// missing returns the subjects that there is no subscription to; nil if the query rests. The reason is
// why there can be none.
func (s *subscriptions) missing(q backlog.Query, subjects []string, now time.Time) (missing []string, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rests[q].After(now) {
		return nil, ""
	}
	delete(s.rests, q)
	missing = []string{}
	for _, subject := range subjects {
		switch {
		case s.full != "":
			return nil, s.full
		case s.denied[subject].After(now):
			return nil, fmt.Sprintf("no right to subscribe to %q", subject)
		case s.bySubject[subject] == nil:
			missing = append(missing, subject)
		}
	}
	if len(s.bySubject)+len(missing) > maxSubscriptions {
		return nil, fmt.Sprintf("there are %d subscriptions, and no more are made", len(s.bySubject))
	}
	return missing, ""
}

// register adds a subscription. Its message may have come before.
func (s *subscriptions) register(one *subscription) {
	s.mu.Lock()
	_, had := s.early[one.sub]
	delete(s.early, one.sub)
	if !had {
		s.bySubject[one.subject], s.bySub[one.sub] = one, one
	}
	s.mu.Unlock()
	if had {
		_ = one.sub.Unsubscribe() // the server has ended it, the library forgets it
	}
}

// confirm notes that the server has confirmed all subscriptions that were made before.
func (s *subscriptions) confirm(now time.Time) {
	s.mu.Lock()
	for _, one := range s.bySubject {
		if one.confirmed.IsZero() {
			one.confirmed = now
		}
	}
	dead := s.dead
	s.dead = nil
	clear(s.early)
	for subject, until := range s.denied {
		if until.Before(now) {
			delete(s.denied, subject)
		}
	}
	s.mu.Unlock()
	for _, sub := range dead {
		_ = sub.Unsubscribe() // or the connection has ended
	}
}

// fire wakes the queries of a subscription that had its message.
func (s *subscriptions) fire(sub *nats.Subscription) {
	s.mu.Lock()
	one := s.bySub[sub]
	if one == nil {
		s.early[sub] = struct{}{}
		s.mu.Unlock()
		return
	}
	s.drop(one)
	now := time.Now()
	queries := slices.Collect(maps.Keys(one.queries))
	for _, q := range queries {
		s.rests[q] = now.Add(storing)
	}
	s.mu.Unlock()
	_ = sub.Unsubscribe() // the server has ended it, the library forgets it
	s.alarms.woken(queries)
	for _, after := range repeats() {
		s.alarms.add(queries, now.Add(after))
	}
}

// drop forgets a subscription. mu is held.
func (s *subscriptions) drop(one *subscription) {
	delete(s.bySub, one.sub)
	if s.bySubject[one.subject] == one {
		delete(s.bySubject, one.subject)
	}
}

// refuse notes a subject that the user may not subscribe to.
func (s *subscriptions) refuse(subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.denied[subject] = time.Now().Add(deniedRetry)
	if one := s.bySubject[subject]; one != nil {
		s.drop(one)
		s.dead = append(s.dead, one.sub)
	}
}

// refuseAll notes that the server allows no more subscriptions. Those that it had confirmed stay.
func (s *subscriptions) refuseAll(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = reason
	for _, one := range s.bySubject {
		if one.confirmed.IsZero() {
			s.drop(one)
			s.dead = append(s.dead, one.sub)
		}
	}
}

// forget ends the subscriptions for a query that is not read any more.
func (s *subscriptions) forget(q backlog.Query) {
	s.mu.Lock()
	delete(s.rests, q)
	var unused []*nats.Subscription
	for _, one := range s.bySubject {
		delete(one.queries, q)
		if len(one.queries) == 0 {
			s.drop(one)
			unused = append(unused, one.sub)
		}
	}
	s.mu.Unlock()
	for _, sub := range unused {
		_ = sub.Unsubscribe() // or the connection has ended
	}
}
