package sqs

import (
	"time"

	"golang.org/x/time/rate"
)

// limits are how often queues are read.
type limits struct {
	// perMinute is the budget of calls of all queues together.
	perMinute    int64
	active, idle time.Duration
}

const (
	// recently is how long after its last message a queue is still read as one with messages.
	recently = 5 * time.Minute
	// restAfter and sleepAfter are after how long without messages a queue is read half as often, and a
	// quarter.
	restAfter, sleepAfter = 10 * time.Minute, time.Hour
	// longestPause bounds the pause between two reads of an idle queue, unless the settings or the budget
	// demand a longer one.
	longestPause = time.Minute
	// burst is the part of the budget of a minute that may be used at once.
	burst = 10
	// refill is how soon a queue is read again that the budget had no call for.
	refill = time.Second
	// longestRead is for how long a read begins calls, so that a queue that is woken does not wait for
	// all others. goOn is how soon the queues are read that are left.
	longestRead, goOn = 200 * time.Millisecond, 20 * time.Millisecond
)

// limiter returns what holds the calls within the budget. It lets a tenth of it through at once, so that
// queues that are due together need not wait.
func (l limits) limiter() *rate.Limiter {
	return rate.NewLimiter(rate.Limit(float64(l.perMinute)/60), int(max(1, l.perMinute/burst)))
}

// pause returns how long to wait between two reads of a queue whose last messages were seen so long ago,
// where so many queues share the budget.
//
// Worked example: 8,000 queues with a budget of 2,400 calls a minute are read every 200 s, whatever is in
// them.
func (l limits) pause(quiet time.Duration, queues int) time.Duration {
	pause := l.idle
	switch {
	case quiet < recently:
		pause = l.active
	case quiet >= sleepAfter:
		pause = max(l.idle, min(4*l.idle, longestPause))
	case quiet >= restAfter:
		pause = max(l.idle, min(2*l.idle, longestPause))
	}
	return max(pause, time.Duration(int64(queues)*int64(time.Minute)/l.perMinute))
}
