package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// grace is for how long a question waits that had no answer before, where nothing else is waited for.
const grace = 200 * time.Millisecond

// perQuestion is how many bytes the answers of a read may have for each question, beyond maxAnswer.
const perQuestion = 8 << 10

// A question is a request to the API.
type question struct {
	subject string
	body    []byte
	// doubtful reports that it had no answer before, so that the others do not wait for this one.
	doubtful bool

	// index is that of its reply, which the goroutine that handles messages sends to replies.
	index   int
	replies chan<- reply
}

// A reply is the answer to a question, or why there is none.
type reply struct {
	index int
	at    time.Time
	data  []byte
	err   error
	// unanswered reports that a server that answers gave no answer to this.
	unanswered bool
}

// An exchange is questions that are asked together, and their replies.
type exchange struct {
	*session
	questions []question
	replies   []reply
	received  chan reply
	// order is that in which they are asked: doubtful ones last. tokens are those of the questions that
	// were asked.
	order  []int
	tokens []string
	// sent, answered and sure count the questions that were asked, that have a reply, and that are
	// waited for.
	sent, answered, sure int
	states               []state
}

// A state is that of a question.
type state uint8

// The states.
const (
	unasked state = iota
	asked
	answered
)

// ask asks questions, and returns a reply to each, in order. It ends with ctx, or where the server is
// silent for the limit of one answer.
func (s *session) ask(ctx context.Context, questions []question) []reply {
	e := &exchange{
		session: s, questions: questions, replies: make([]reply, len(questions)), states: make([]state, len(questions)),
		// No handler waits for a read that has ended.
		received: make(chan reply, len(questions)),
	}
	if len(questions) == 0 {
		return nil
	}
	for i := range questions {
		if !questions[i].doubtful {
			e.order = append(e.order, i)
		}
	}
	e.sure = len(e.order)
	for i := range questions {
		if questions[i].doubtful {
			e.order = append(e.order, i)
		}
	}
	s.guard.allow(maxAnswer + perQuestion*int64(len(questions)))
	why := e.run(ctx)
	s.forget(e.tokens)
	if why == nil {
		s.suspect = false
		return e.replies
	}
	alive := e.answered > 0 || s.recovers(ctx)
	for i := range e.replies {
		if e.states[i] != answered {
			e.replies[i] = reply{index: i, at: time.Now(), err: why, unanswered: alive && e.states[i] == asked}
		}
	}
	return e.replies
}

// run asks and receives. The error is why replies are missing.
func (e *exchange) run(ctx context.Context) error {
	silence := time.NewTimer(e.cfg.answer)
	defer silence.Stop()
	doubt := time.NewTimer(min(grace, e.cfg.answer))
	defer doubt.Stop()
	patient := true
	for e.answered < len(e.questions) && (e.sure > 0 || patient || e.sent < len(e.questions)) {
		if err := e.send(ctx); err != nil {
			return fmt.Errorf("%w: ask: %w", backlog.ErrUnavailable, err)
		}
		select {
		case r := <-e.received:
			e.take(r)
			silence.Reset(e.cfg.answer)
		case <-ctx.Done():
			return fmt.Errorf("%w: no answer: %w", backlog.ErrUnavailable, ctx.Err())
		case <-silence.C:
			return e.silent()
		case <-doubt.C:
			patient = false
		case <-e.closed:
			return e.end()
		}
	}
	if e.answered < len(e.questions) {
		return e.silent()
	}
	return nil
}

// silent returns the error of a question that has no answer while the connection stands.
func (e *exchange) silent() error {
	return fmt.Errorf("%w: no answer in time, as while there is no leader: %w", backlog.ErrUnavailable, context.DeadlineExceeded)
}

// take notes a reply.
func (e *exchange) take(r reply) {
	e.replies[r.index], e.states[r.index] = r, answered
	e.answered++
	if !e.questions[r.index].doubtful {
		e.sure--
	}
}

// send asks as many questions as may wait for an answer.
func (e *exchange) send(ctx context.Context) error {
	if e.sent == len(e.questions) || e.sent-e.answered >= maxWaiting {
		return nil
	}
	// The library waits for the server if its buffers are full.
	defer context.AfterFunc(ctx, e.unblock)()
	for e.sent < len(e.questions) && e.sent-e.answered < maxWaiting {
		i := e.order[e.sent]
		q := &e.questions[i]
		q.index, q.replies = i, e.received
		token := e.expect(q)
		e.tokens = append(e.tokens, token)
		e.states[i] = asked
		e.sent++
		if err := e.conn.PublishRequest(q.subject, e.inbox+"."+token, q.body); err != nil {
			why, _ := e.guard.end()
			return errors.Join(err, why)
		}
	}
	return nil
}

// recovers reports whether a server that has answered nothing gives a sign of life: then it is the
// leaders that do not answer. Where there is no time left to find out, the connection is given a second
// chance.
func (s *session) recovers(ctx context.Context) bool {
	if ctx.Err() == nil && s.Alive() {
		if s.flush(ctx, min(s.cfg.answer, signOfLife)) == nil {
			s.suspect = false
			return true
		}
	}
	if s.suspect || ctx.Err() == nil {
		s.cut()
	}
	s.suspect = true
	return false
}
