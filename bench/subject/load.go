package subject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
)

const (
	// loadRounds is how often the two queues are written in turns, loadTime for how
	// long each time.
	loadRounds = 31
	loadTime   = 500 * time.Millisecond
	// pairs is how many messages are pushed and popped again in one go.
	pairs = 50
)

// Load writes a queue as fast as Redis takes it, in turns one that the scaler reads and one that
// it does not know. Every message is taken out again at once. A queue that every read finds empty is armed by every
// read, which is the most that a writer can make the scaler read.
func Load(ctx context.Context, programs Programs) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	r, err := s.redis(ctx)
	if err != nil {
		return result, err
	}
	ours, err := s.ours(ctx, r)
	if err != nil {
		return result, err
	}
	all := newObjects(1)
	if _, err := watch(ctx, ours, all); err != nil {
		return result, err
	}
	w, err := s.writer(ctx, r)
	if err != nil {
		return result, err
	}
	var rounds measurement.Rounds
	var read hotReads
	for n := range loadRounds {
		var watched, alone float64
		err := measurement.InTurns(n,
			func() (err error) { watched, err = read.during(ctx, r, w, all.lists[0]); return err },
			func() (err error) { alone, err = w.burst(ctx, "unwatched:orders"); return err },
		)
		if err != nil {
			return result, err
		}
		rounds.Add(watched, alone)
	}
	result.Measurements = []measurement.Measurement{
		rounds.Measurement("load_writes", "1/s", measurement.RatioAtLeast(0.97)),
		measurement.Alone("load_reads", "1/s", measurement.AtMost(50), read.times/read.in.Seconds()),
	}
	return result, nil
}

// hotReads is how often the scaler read a list, and in how much time.
type hotReads struct {
	times float64
	in    time.Duration
}

// during counts the reads while the list is written, and returns the writes a second.
func (h *hotReads) during(ctx context.Context, r *redisserver.Server, w *writer, list string) (writes float64, err error) {
	before, err := r.Number(ctx, "commandstats", "cmdstat_llen")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if writes, err = w.burst(ctx, list); err != nil {
		return 0, err
	}
	h.in += time.Since(began)
	after, err := r.Number(ctx, "commandstats", "cmdstat_llen")
	h.times += after - before
	return writes, err
}

// A writer writes a list through a connection of its own, and does little else.
type writer struct{ conn net.Conn }

func (s *stage) writer(ctx context.Context, r *redisserver.Server) (*writer, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Address)
	if err != nil {
		return nil, fmt.Errorf("connect a writer: %w", err)
	}
	s.endings = append(s.endings, conn.Close)
	return &writer{conn: conn}, nil
}

// burst pushes and pops messages for loadTime and returns the writes a second.
func (w *writer) burst(ctx context.Context, list string) (float64, error) {
	batch := []byte(strings.Repeat(encode("RPUSH", list, "message")+encode("LPOP", list), pairs))
	want := []byte(strings.Repeat(":1\r\n$7\r\nmessage\r\n", pairs))
	got := make([]byte, len(want))
	batches := 0
	began := time.Now()
	for time.Since(began) < loadTime && ctx.Err() == nil {
		if _, err := w.conn.Write(batch); err != nil {
			return 0, fmt.Errorf("write %s: %w", list, err)
		}
		if _, err := io.ReadFull(w.conn, got); err != nil {
			return 0, fmt.Errorf("write %s: %w", list, err)
		}
		if !bytes.Equal(got, want) {
			return 0, errors.New("write " + list + ": another client takes messages out")
		}
		batches++
	}
	return float64(batches*2*pairs) / time.Since(began).Seconds(), ctx.Err()
}

// encode returns a command in the protocol of Redis.
func encode(words ...string) string {
	var b strings.Builder
	b.WriteString("*" + strconv.Itoa(len(words)) + "\r\n")
	for _, word := range words {
		b.WriteString("$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n")
	}
	return b.String()
}
