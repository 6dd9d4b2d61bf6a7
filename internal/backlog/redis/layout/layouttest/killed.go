package layouttest

import (
	"sync"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// A Holder is a framework whose worker can be killed while it holds a job, at work on a
// server of its own.
type Holder struct {
	*Driver
	Server *redistest.Server
	Query  backlog.Query
	// Take adds a job and starts a worker that takes it and keeps it. The job may be
	// added before or after.
	Take func() *Driver
	// Held reports whether the library counts a job that a worker holds, and kept whether
	// it counts the job at all.
	Held, Kept func() bool
	// Note is what the proof is limited to.
	Note string
	// Recover makes the library give the job to another worker that finishes it, or
	// forget it; nil where it does so after minutes alone.
	Recover func()
}

// Expire lets keys expire soon, as they would later.
func Expire(t testing.TB, server *redistest.Server, keys ...any) {
	t.Helper()
	if len(keys) == 0 {
		t.Fatal("there is nothing to expire")
	}
	for _, key := range keys {
		server.Do("PEXPIRE", key, 500)
	}
}

const (
	// deadTime is for how long a worker that was killed is left alone.
	deadTime = 3 * time.Second
	// AskInterval is the pause between two questions whether a trigger is active.
	AskInterval = 5 * time.Millisecond
)

// KilledWorkers checks that from before a worker is killed until another one has finished its
// job, or the library has forgotten it, KEDA is never answered that there is nothing to do,
// nor that it is not known.
func KilledWorkers(t *testing.T, start func(testing.TB, string) Holder, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, name)
			s := startScaler(t, h.Server)
			messages := s.stream(t, h.Query)
			if m := next(t, messages); m.active {
				t.Fatal("a queue without jobs is active")
			}
			worker := h.Take()
			if m := next(t, messages); !m.active {
				t.Fatal("a queue with a job is not active")
			}
			h.awaitHeld()
			CheckPattern(t, h.Server, h.Query)

			// The library has counted the job; the scaler may notice that a moment later, and
			// what it answered before the job was held is not what this is about.
			redistest.Eventually(t, "the scaler counts the job that is held", func() bool {
				answer, err := s.client.IsActive(t.Context(), ref(t, h.Query))
				return err == nil && answer.GetResult()
			})
			w := s.watch(t, h.Query, messages)
			worker.Kill()
			counted := h.countsFor(deadTime)
			if h.Recover != nil {
				h.Recover()
				counted = h.countsOn(counted)
			}
			w.check(counted)
			if h.Recover != nil {
				redistest.Eventually(t, "the trigger is inactive after all", func() bool {
					answer, err := s.client.IsActive(t.Context(), ref(t, h.Query))
					return err == nil && !answer.GetResult()
				})
			}
			h.ProveOf(h.Note, InFlight)
		})
	}
}

// awaitHeld waits until the library counts the job as one that a worker holds. Sidekiq
// does so every 10 s alone.
func (h Holder) awaitHeld() {
	h.T.Helper()
	for began := time.Now(); !h.Held(); time.Sleep(4 * AskInterval) {
		if time.Since(began) > 2*Patience {
			h.T.Fatalf("no worker has the job after %s", time.Since(began))
		}
	}
}

// countsFor holds that the library counts the job for a while, and returns when it was
// asked last.
func (h Holder) countsFor(d time.Duration) (asked time.Time) {
	h.T.Helper()
	for began := time.Now(); time.Since(began) < d; time.Sleep(4 * AskInterval) {
		asked = time.Now()
		if !h.Kept() {
			h.T.Fatalf("the job is gone %s after its worker", asked.Sub(began))
		}
	}
	return asked
}

// countsOn waits until the library does not count the job any more, and returns when it
// was asked last and did, or asked. A job on its way from one place to another may be
// overlooked by a library once or twice.
func (h Holder) countsOn(asked time.Time) time.Time {
	h.T.Helper()
	const gone = 5
	began := time.Now()
	for misses := 0; misses < gone; time.Sleep(AskInterval) {
		now := time.Now()
		if now.Sub(began) > 2*Patience {
			h.T.Fatalf("the job is there %s after it was to be recovered", now.Sub(began))
		}
		misses++
		if h.Kept() {
			asked, misses = now, 0
		}
	}
	h.T.Logf("%s %s: the job was counted until %s after it was to be recovered", h.Layout, h.Version, max(0, asked.Sub(began)))
	return asked
}

// A vigil asks again and again whether a trigger is active, and listens to its stream.
type vigil struct {
	t        testing.TB
	messages <-chan message
	began    time.Time
	stop     func()
	// answers and doubt, which is the first answer other than active, are of the asking
	// goroutine, and of others when that has stopped.
	answers int
	doubt   *message
}

// watch begins a vigil, which ends with its check.
func (s *scaler) watch(t testing.TB, q backlog.Query, messages <-chan message) *vigil {
	t.Helper()
	trigger, ended := ref(t, q), make(chan struct{})
	v := &vigil{t: t, messages: messages, began: time.Now()}
	var asking sync.WaitGroup
	v.stop = sync.OnceFunc(func() { close(ended); asking.Wait() })
	t.Cleanup(v.stop)
	pause := time.NewTicker(AskInterval)
	asking.Go(func() {
		defer pause.Stop()
		for {
			select {
			case <-ended:
				return
			case <-pause.C:
			}
			answer, err := s.client.IsActive(t.Context(), trigger)
			v.answers++
			if (err != nil || !answer.GetResult()) && v.doubt == nil {
				v.doubt = &message{answer.GetResult(), err, time.Now()}
			}
		}
	})
	return v
}

// check ends the vigil and holds that nothing but active was reported while there was a
// job, by the last answer of the library.
func (v *vigil) check(asked time.Time) {
	v.t.Helper()
	v.stop()
	told := v.drain()
	if v.doubt != nil {
		told = append(told, *v.doubt)
	}
	for _, m := range told {
		if (m.err != nil || !m.active) && m.at.After(v.began) && m.at.Before(asked) {
			v.t.Errorf("active=%t and error %v, %s before the library counted the job", m.active, m.err, asked.Sub(m.at))
		}
	}
	v.t.Logf("%d answers", v.answers)
}

// drain returns what the stream has reported so far.
func (v *vigil) drain() []message {
	var told []message
	for {
		select {
		case m, open := <-v.messages:
			if !open {
				return told
			}
			told = append(told, m)
		default:
			return told
		}
	}
}
