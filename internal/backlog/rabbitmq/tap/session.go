package tap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/dialer"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
)

// A session is the connection of the taps. One channel has all consumers, which the server closes for
// no error of another one: the commands have a channel of their own. The goroutine of the taps uses it.
type session struct {
	conn *amqp.Connection
	wire *dialer.Wire
	// answer is how long the server may be silent after a command.
	answer time.Duration
	// consumers is the channel of the consumers, and commands the other one, nil before it is needed.
	consumers, commands *amqp.Channel
	// ended is closed when the connection or the channel of the consumers has ended, and why is the
	// reason; it is written before.
	ended chan struct{}
	why   error
	tasks sync.WaitGroup
}

// A refusal is a command that the server has refused. It concerns one tap.
type refusal struct {
	text string
	err  error
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) Unwrap() error { return r.err }

// open connects to the server whose queues are read.
func (a *Taps) open(ctx context.Context) (*session, error) {
	conn, w, err := a.cfg.Connect(ctx, a.address(), a.cfg.Name+" (taps)", func(w *dialer.Wire) net.Conn { return newFilter(w, a.delivered) })
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, wire: w, answer: a.cfg.Answer, ended: make(chan struct{})}
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	err = s.within(func() (err error) {
		s.consumers, err = conn.Channel()
		return err
	})
	if err != nil {
		_ = w.Close()
		s.tasks.Wait()
		return nil, s.wire.Failure(err)
	}
	ended := s.consumers.NotifyClose(make(chan *amqp.Error, 1))
	s.tasks.Go(func() { s.watch(closed, ended) })
	cancels := s.consumers.NotifyCancel(make(chan string, 1))
	s.tasks.Go(func() {
		for name := range cancels {
			a.cancelled(name)
		}
	})
	return s, nil
}

// watch waits for the end of the connection or of the channel of the consumers.
func (s *session) watch(closed, ended <-chan *amqp.Error) {
	var why *amqp.Error
	select {
	case why = <-closed:
	case why = <-ended:
	}
	if why != nil {
		s.why = why
	}
	_ = s.wire.Close() // nothing works any more without either
	close(s.ended)
}

// end returns why the session has ended, after ended is closed.
func (s *session) end() error {
	if s.why == nil {
		return s.wire.Failure(amqp.ErrClosed)
	}
	return s.wire.Failure(s.why)
}

// close ends the session: the server then deletes the queues of the taps, which are exclusive.
func (s *session) close() {
	select {
	case <-s.ended:
	default:
		_ = s.conn.CloseDeadline(time.Now().Add(dialer.CloseGrace)) // the connection is closed next
	}
	_ = s.wire.Close()
	s.tasks.Wait()
}

// within ends the connection if the server is silent for too long while a command runs. What the
// server sends counts, so that a large body before the answer is no silence.
func (s *session) within(command func() error) error {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		timer := time.NewTimer(s.answer)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			silent := s.wire.Silence()
			if silent >= s.answer {
				_ = s.wire.Close() // the library knows no other bound
				return
			}
			timer.Reset(s.answer - silent)
		}
	})
	err := command()
	close(done)
	watching.Wait()
	return err
}

// command runs commands on their channel, which the server closes where it refuses one.
func (s *session) command(run func(*amqp.Channel) error) error {
	err := s.within(func() (err error) {
		if s.commands == nil {
			if s.commands, err = s.conn.Channel(); err != nil {
				s.commands = nil
				return err
			}
		}
		return run(s.commands)
	})
	if err == nil {
		return nil
	}
	s.commands = nil
	if refused, ok := errors.AsType[*amqp.Error](err); ok && refused.Server && !s.conn.IsClosed() {
		return &refusal{refusalText(refused), err}
	}
	return s.wire.Failure(err)
}

// refusalText returns why the server refuses a command, without what differs between attempts, such as
// the name of a tap.
func refusalText(refused *amqp.Error) string {
	switch refused.Code {
	case amqp.AccessRefused:
		return noRight
	case amqp.NotFound:
		return "the exchange does not exist"
	default:
		return fmt.Sprintf("the server refuses it with the code %d", refused.Code)
	}
}

// declare makes the queue of a tap, with a consumer. What decides whether a message is stored is
// named, so that no default of the virtual host and no policy decides it:
// https://www.rabbitmq.com/docs/maxlength#overflow-behaviour.
func (s *session) declare(name string) error {
	err := s.command(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclare(name, false, true, true, false, amqp.Table{
			"x-queue-type": management.TypeClassic, "x-max-length": int32(0), "x-overflow": "drop-head",
		})
		return err
	})
	if err != nil {
		return err
	}
	// The filter lets no delivery through, so that nothing has to be taken from the channel.
	err = s.within(func() error {
		_, err := s.consumers.Consume(name, name, true, true, false, false, nil)
		return err
	})
	if err != nil {
		return s.wire.Failure(err)
	}
	return nil
}

// bind binds a tap by all of its routing keys. It is idempotent.
func (s *session) bind(name string, key Key) error {
	return s.command(func(ch *amqp.Channel) error {
		for _, one := range key.each() {
			if err := ch.QueueBind(name, one, key.exchange, false, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// unbind undoes bind, also where the exchange is gone.
func (s *session) unbind(name string, key Key) error {
	err := s.command(func(ch *amqp.Channel) error {
		for _, one := range key.each() {
			if err := ch.QueueUnbind(name, one, key.exchange, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if refused, is := errors.AsType[*amqp.Error](err); is && refused.Code == amqp.NotFound {
		return nil
	}
	return err
}

// remove ends the consumer of a tap, with which the server deletes its queue.
func (s *session) remove(name string) error {
	err := s.within(func() error { return s.consumers.Cancel(name, false) })
	if err != nil {
		return s.wire.Failure(err)
	}
	return nil
}
