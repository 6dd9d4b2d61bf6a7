package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// errDiscarded is the reply to a command of a transaction that the server did not run.
	errDiscarded = errors.New("the server has not run the transaction")
	// errTransaction is an answer to a transaction after which it may still be open.
	errTransaction = errors.New("unexpected answer to a transaction")
)

// A transaction is a row of commands in a pipeline that the server runs as one.
type transaction struct {
	// from and to delimit its commands in the pipeline.
	from, to    int
	multi, exec *redis.Cmd
}

// enqueue appends a command to what is sent, and begins and ends transactions.
func (s *session) enqueue(ctx context.Context, commands []command, i int) {
	number := commands[i].transaction
	if number == 0 || s.singly {
		s.sent = append(s.sent, &s.pending[i])
		return
	}
	if i == 0 || commands[i-1].transaction != number {
		s.open = append(s.open, transaction{from: i, multi: redis.NewCmd(ctx, "MULTI"), exec: redis.NewCmd(ctx, "EXEC")})
		s.sent = append(s.sent, s.open[len(s.open)-1].multi)
	}
	s.sent = append(s.sent, &s.pending[i])
	if i == len(commands)-1 || commands[i+1].transaction != number {
		last := &s.open[len(s.open)-1]
		last.to = i + 1
		s.sent = append(s.sent, last.exec)
	}
}

// unpack gives the commands of a transaction their replies. The error is an answer after
// which the connection is of no use.
func (s *session) unpack(t transaction, replies []reply) error {
	if err := t.multi.Err(); err != nil {
		// It was not begun, and each command was run by itself.
		s.singly = s.singly || denies(serverText(err)) && !passes(err)
		return nil
	}
	values, isList := t.exec.Val().([]any)
	err := t.exec.Err()
	switch {
	case err == nil && isList && len(values) == len(replies):
		for i, value := range values {
			replies[i] = replyOf(value)
			replies[i].server = s.server
		}
		return nil
	case slices.ContainsFunc([]string{"EXECABORT", "CROSSSLOT", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}, func(code string) bool { return hasCode(err, code) }):
		// If no command of it was refused, EXEC itself was.
		s.singly = s.singly || denies(serverText(err)) && !slices.ContainsFunc(replies, func(r reply) bool { return r.err != nil })
		for i := range replies {
			replies[i].value, replies[i].err = nil, errDiscarded
		}
		return nil
	case err == nil:
		err = fmt.Errorf("%w: %T for %d commands", errReply, t.exec.Val(), len(replies))
	}
	return fmt.Errorf("%w: %w", errTransaction, err)
}

// replyOf makes a reply of an element in the answer to a transaction.
func replyOf(value any) reply {
	switch v := value.(type) {
	case nil:
		return reply{err: redis.Nil}
	case error:
		return reply{err: v}
	default:
		return reply{value: v}
	}
}

// nextPipeline returns how many commands are sent as the next pipeline: no transaction is divided.
func nextPipeline(commands []command) int {
	n := min(len(commands), pipelineLength)
	for at := n; at < len(commands) && at > 0; at-- {
		if t := commands[at].transaction; t == 0 || t != commands[at-1].transaction {
			return at
		}
	}
	return n
}

// mayJoin reports whether the server is sent transactions. The caller holds turn.
func (n *node) mayJoin() bool { return n.showManners() != plain && time.Now().After(n.singly) }

// noteJoined notes whether the server, to which the commands were sent on s, runs
// transactions. One that ends the connection, or answers what it should not, may do so
// because of them. The caller holds turn.
func (n *node) noteJoined(s *session, commands []command, err error) {
	if err != nil && !s.singly {
		s.singly = slices.ContainsFunc(commands, func(c command) bool { return c.transaction != 0 })
	}
	if s.singly && n.mayJoin() {
		n.singly = time.Now().Add(transactionRetry)
	}
}
