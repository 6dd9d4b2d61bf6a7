package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// errTransaction is an answer to a transaction after which it may still be open.
var errTransaction = errors.New("unexpected answer to a transaction")

// A transaction is neighbouring commands of a pipeline that the server runs as one.
type transaction struct {
	// from and to delimit its commands in the pipeline.
	from, to    int
	multi, exec *redis.Cmd
}

// enqueue appends a command to what is sent, and begins and ends transactions.
func (s *Session) enqueue(ctx context.Context, commands []resp.Command, i int) {
	number := commands[i].Transaction
	if number == 0 || s.NoTransactions {
		s.sent = append(s.sent, &s.pending[i])
		return
	}
	if i == 0 || commands[i-1].Transaction != number {
		s.open = append(s.open, transaction{from: i, multi: redis.NewCmd(ctx, "MULTI"), exec: redis.NewCmd(ctx, "EXEC")})
		s.sent = append(s.sent, s.open[len(s.open)-1].multi)
	}
	s.sent = append(s.sent, &s.pending[i])
	if i == len(commands)-1 || commands[i+1].Transaction != number {
		last := &s.open[len(s.open)-1]
		last.to = i + 1
		s.sent = append(s.sent, last.exec)
	}
}

// unpack gives the commands of a transaction their replies. The error is an answer after
// which the connection is of no use.
func (s *Session) unpack(t transaction, replies []resp.Reply) error {
	if err := t.multi.Err(); err != nil {
		// It was not begun, and each command was run by itself.
		s.NoTransactions = s.NoTransactions || resp.IsDenial(err) && !resp.IsTransient(err)
		return nil
	}
	values, isList := t.exec.Val().([]any)
	err := t.exec.Err()
	switch {
	case err == nil && isList && len(values) == len(replies):
		for i, value := range values {
			replies[i] = replyOf(value)
			replies[i].Server = s.Server
		}
		return nil
	case isDiscarded(err):
		// If no command of it was refused, EXEC itself was.
		s.NoTransactions = s.NoTransactions || resp.IsDenial(err) && !slices.ContainsFunc(replies, func(r resp.Reply) bool { return r.Err != nil })
		for i := range replies {
			replies[i].Value, replies[i].Err = nil, resp.ErrDiscarded
		}
		return nil
	case err == nil:
		err = fmt.Errorf("%w: %T for %d commands", resp.ErrReply, t.exec.Val(), len(replies))
	}
	return fmt.Errorf("%w: %w", errTransaction, err)
}

// isDiscarded reports whether an answer to EXEC means that nothing of the transaction was run.
func isDiscarded(err error) bool {
	return slices.ContainsFunc([]string{"EXECABORT", "CROSSSLOT", "MOVED", "ASK", "TRYAGAIN", "CLUSTERDOWN"}, func(code string) bool {
		return resp.HasCode(err, code)
	})
}

// replyOf makes a reply of an element in the answer to a transaction.
func replyOf(value any) resp.Reply {
	switch v := value.(type) {
	case nil:
		return resp.Reply{Err: resp.ErrNil}
	case error:
		if errors.Is(v, redis.Nil) {
			v = resp.ErrNil
		}
		return resp.Reply{Err: v}
	default:
		return resp.Reply{Value: v}
	}
}
