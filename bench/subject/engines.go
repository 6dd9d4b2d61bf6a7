package subject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/distance"
	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

const (
	// engineQueues is how many queues a server has, each with a trigger.
	engineQueues = 1000
	// engineBusy is how many of them have one message. The others are empty.
	engineBusy = engineQueues / 10
	// engineRounds is how often each side reads all queues.
	engineRounds = 31
	// tripRounds is how often each side reads all queues of a server that is far away.
	tripRounds = 5
	// patience bounds the wait for what a server does once, and probeInterval is the time between two attempts.
	patience, probeInterval = time.Minute, 100 * time.Millisecond
	// answerTimeout is that of connections. It is long because it passes only where something is wrong.
	answerTimeout = "answerTimeout: 10s"
)

// A queueServer is a real server with engineQueues queues, and what it takes to read and write them.
type queueServer struct {
	engine string
	// address is where clients find the server, and brokers is everywhere that the scaler connects to.
	address string
	brokers []string
	// far is where they find it far away.
	far *distance.Distance
	// settings returns the lines of a connection to the server at an address.
	settings func(address string) []string

	// queues are their names, the busy ones first; each is read by the layout with its parameters.
	layout     string
	queues     []string
	parameters func(i int) map[string]string

	// bare returns a function that reads all queues with the bare client at an address.
	bare func(ctx context.Context, address string) (func(context.Context) error, error)
	// write adds a message to a queue, as a producer does, and returns when the server has it.
	write func(ctx context.Context, i int) error

	// state returns how the server is, for an error; nil if that is not known.
	state func() string

	// rounds is how often each side reads all queues; zero is engineRounds and tripRounds.
	rounds int
	// limits are the bounds of the figures.
	limits engineLimits
	// notices is how a change of an idle queue is noticed. hinted reports that the producer says so by HTTP.
	notices string
	hinted  bool
}

// engineLimits are the bounds of the figures of an engine.
type engineLimits struct {
	// rate is the least ratio of the queues read in a second to those of the bare client.
	rate float64
	// trips is the most round trips of a batch.
	trips float64
	// p50 and p99 are the longest wake-ups in milliseconds.
	p50, p99 float64
}

// maxConnections is how many connections 1,000 triggers may take on one broker.
const maxConnections = 3

// measureEngine measures the server that start starts.
func measureEngine(ctx context.Context, programs Programs, start func(*stage, context.Context) (*queueServer, error)) (result Result, err error) {
	s := &stage{programs: programs}
	defer func() { err = errors.Join(err, s.close()) }()
	q, err := start(s, ctx)
	if err != nil {
		return result, err
	}
	for _, measure := range []func(context.Context, *stage) ([]measurement.Measurement, error){q.reads, q.roundTrips, q.wakes} {
		measurements, err := measure(ctx, s)
		if err != nil {
			return result, err
		}
		result.Measurements = append(result.Measurements, measurements...)
	}
	return result, nil
}

// queries are those of all queues.
func (q *queueServer) queries() []backlog.Query {
	all := make([]backlog.Query, len(q.queues))
	for i, queue := range q.queues {
		all[i] = backlog.Query{Layout: q.layout, Queue: queue, Params: backlog.NewParams(q.parameters(i))}
	}
	return all
}

// A reader reads all queues once.
type reader func(context.Context) error

// readers returns those of both sides for the server at an address. Each has read once, so that what is done once
// is done.
func (q *queueServer) readers(ctx context.Context, s *stage, address string) (own, bare reader, err error) {
	file, err := s.configure(q.engine, address, q.settings(address)...)
	if err != nil {
		return nil, nil, err
	}
	source, err := s.open(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	queries := q.queries()
	var results []backlog.Result
	own = func(ctx context.Context) (err error) {
		results, err = read(ctx, source, queries, results)
		return err
	}
	if bare, err = q.bare(ctx, address); err != nil {
		return nil, nil, err
	}
	// A server that was just filled may be slow to answer for the first time.
	if err := childprocess.Poll(ctx, "the first read", patience, probeInterval, own); err != nil {
		return nil, nil, err
	}
	if err := bare(ctx); err != nil {
		return nil, nil, err
	}
	return own, bare, q.check(results)
}

// check reports a busy queue that was not read as such, or one that is empty.
func (q *queueServer) check(results []backlog.Result) error {
	for i, r := range results {
		want := int64(0)
		if i < engineBusy {
			want = 1
		}
		if r.Reading.Ready != want {
			return fmt.Errorf("read %s: %d messages, want %d", q.queues[i], r.Reading.Ready, want)
		}
	}
	return nil
}

// reads measures how many queues a second are read in one batch, next to the bare client.
func (q *queueServer) reads(ctx context.Context, s *stage) ([]measurement.Measurement, error) {
	own, bare, err := q.readers(ctx, s, q.address)
	if err != nil {
		return nil, err
	}
	var rates measurement.Rounds
	for n := range cmp.Or(q.rounds, engineRounds) {
		var took, least time.Duration
		err := measurement.InTurns(n,
			func() (err error) { took, _, err = timed(func() error { return own(ctx) }); return err },
			func() (err error) { least, _, err = timed(func() error { return bare(ctx) }); return err },
		)
		if err != nil {
			return nil, err
		}
		rates.Add(engineQueues/took.Seconds(), engineQueues/least.Seconds())
	}
	return []measurement.Measurement{rates.Measurement(q.engine+"_read", "queues/s", measurement.RatioAtLeast(q.limits.rate))}, nil
}

// roundTrips measures how many round trips a batch takes, one after the other, to a server that is far away. The
// fewest of all rounds count: others have those of what is done meanwhile, such as a heartbeat.
func (q *queueServer) roundTrips(ctx context.Context, s *stage) ([]measurement.Measurement, error) {
	own, bare, err := q.readers(ctx, s, q.far.Address)
	if err != nil {
		return nil, err
	}
	var trips [2][]float64
	rounds := min(cmp.Or(q.rounds, tripRounds), tripRounds)
	for range rounds {
		for side, read := range []reader{own, bare} {
			// What was sent before is answered.
			if err := pause(ctx, 2*distance.RoundTrip); err != nil {
				return nil, err
			}
			n, err := q.far.During(func() error { return read(ctx) })
			if err != nil {
				return nil, err
			}
			trips[side] = append(trips[side], float64(n))
		}
	}
	return []measurement.Measurement{{
		Name: q.engine + "_round_trips", Value: slices.Min(trips[0]), Unit: "per batch", Bound: measurement.AtMost(q.limits.trips),
		Note: fmt.Sprintf("%d queues, the bare client %.0f, the fewest of %d rounds", engineQueues, slices.Min(trips[1]), rounds),
	}}, nil
}
