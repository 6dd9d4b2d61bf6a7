package lag

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

// A job is what is asked about one stream in one read.
type job struct {
	name    string
	history *history
	// places are the questions for the offsets of the consumers, by their names.
	places map[string]*stream.OffsetQuery
	led    led

	// What follows is the answer. at is when it came, and number that of the connection.
	at     time.Time
	number int
	stats  stream.StatsQuery
	search *tailSearch // nil if the last chunk was not asked for
	tail   *tail
	err    error
}

// unanswered reports whether a question about the stream has no answer.
func (j *job) unanswered() bool {
	for _, place := range j.places {
		if place.Code == 0 {
			return true
		}
	}
	return j.stats.Code == 0 || j.search != nil && (j.search.last.Code == 0 || j.search.after.Code == 0)
}

// blame notes that the server did not answer for the stream, which is not asked for again for a while.
// hung reports that it answered for others before.
func (j *job) blame(err error, hung bool) {
	rest := streamRest
	if hung {
		rest = hungRest
	}
	j.err, j.history.rest, j.history.resting = err, time.Now().Add(rest), err
}

// reset forgets the answers.
func (j *job) reset() {
	for consumer, place := range j.places {
		j.places[consumer] = &stream.OffsetQuery{Stream: place.Stream, Reference: place.Reference}
	}
	j.stats, j.search, j.tail, j.err = stream.StatsQuery{}, nil, nil, nil
}

const (
	// streamRest is how long a stream is not asked for at which the server ended the connection, and
	// hungRest how long one is not for which it did not answer, while it answered for others.
	streamRest = time.Second
	hungRest   = 10 * time.Second
)

// failure returns why the server does not answer for a stream.
func (j *job) failure() error {
	if err := codeError(j.stats.Code); err != nil {
		return err
	}
	for _, place := range j.places {
		if err := codeError(place.Code); err != nil {
			return err
		}
	}
	return nil
}

// reached returns the highest offset that a consumer has stored, of those for whom that matters.
func (j *job) reached() int64 {
	reached := int64(stream.None)
	for _, place := range j.places {
		if place.Code == stream.OK {
			reached = max(reached, place.Offset)
		}
	}
	return reached
}

// missing reports whether the stream does not exist.
func (j *job) missing() bool { return j.stats.Code == stream.StreamDoesNotExist }
