package app_test

import (
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// The outages last longer than staleness, which the triggers ask for.
const (
	staleness = 3 * time.Second
	known     = 50
)

func staleRef() *pb.ScaledObjectRef { return ref("jobs", "maxStaleness", staleness.String()) }

// fill makes a list of known messages.
func fill(do func(args ...any) any) {
	args := []any{"RPUSH", "jobs"}
	for range known {
		args = append(args, "job")
	}
	do(args...)
}

// watchOutage asks without a break while broken does its work and lasts, and
// holds every answer against the promise: what was known before is not
// understated, errors come only after the staleness, and then they are
// Unavailable. It returns when the answer is an error or, if that never happens,
// after the limit; it reports which of the two it was.
func (s *scaler) watchOutage(r *pb.ScaledObjectRef, limit time.Duration, breakIt func()) (becameUnavailable bool) {
	s.Helper()
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		breakIt()
	}()
	defer func() { <-done }()
	for time.Since(began) < limit {
		asked := time.Now()
		value, active, err := s.ask(r)
		since := time.Since(began)
		switch {
		case err == nil && (value < known || !active):
			s.Errorf("%s after the outage began: value %v, active %t; before it was %d", since, value, active, known)
			return false
		case err == nil:
		case status.Code(err) != codes.Unavailable:
			s.Errorf("%s after the outage began: %v, want Unavailable", since, err)
			return false
		default:
			s.staleSinceLastReading(asked)
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// staleSinceLastReading holds that the last good reading, which there is no newer one
// of, is older than the staleness. It counts from that reading and not from when the
// outage began: on a busy machine more time lies between them. A reading that is newer
// than the question says nothing: the outage has ended since.
func (s *scaler) staleSinceLastReading(asked time.Time) {
	s.Helper()
	now := time.Now()
	response, _ := s.explanation()
	at := response.GetExplanations()[0].GetReading().GetAt().AsTime()
	if at.After(asked) {
		return
	}
	if age := now.Sub(at); age < staleness {
		s.Errorf("unavailable %s after the last good reading, want %s", age, staleness)
	}
}

func TestRedisKilled(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	fill(redis.Do)
	s := start(t, standalone(redis.Addr()), setup{})
	s.awaitValue(staleRef(), known)
	if !s.watchOutage(staleRef(), testTimeout, redis.Kill) {
		t.Error("the answer never became Unavailable")
	}
	if _, err := s.client.GetMetricSpec(t.Context(), staleRef()); err != nil {
		t.Errorf("the target needs no Redis: %v", err)
	}
	if code, body := s.get("/readyz"); code != 200 {
		t.Errorf("a tenant's broker that is down makes the scaler unready: %d %s", code, body)
	}
	redis.Restart()
	fill(redis.Do)
	s.awaitValue(staleRef(), known)
}

func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	fill(redis.Do)
	s := start(t, standalone(redis.Addr()), setup{})
	s.awaitValue(staleRef(), known)
	if !s.watchOutage(staleRef(), testTimeout, redis.Freeze) {
		t.Error("the answer never became Unavailable")
	}
	redis.Thaw()
	s.awaitValue(staleRef(), known)
}

// TestIdleAndFrozen: a queue that is idle, and hardly read, is not believed to be idle
// for longer than one that is read all the time.
func TestIdleAndFrozen(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := start(t, standalone(redis.Addr()), setup{})
	s.stream(staleRef())
	redistest.Eventually(t, "the queue is confirmed", func() bool {
		_, text := s.explanation()
		return strings.Contains(text, "(confirmed)")
	})
	redis.Freeze()
	t.Cleanup(redis.Thaw)
	began := time.Now()
	for {
		asked := time.Now()
		value, active, err := s.ask(staleRef())
		since := time.Since(began)
		switch {
		case err == nil && (value != 0 || active):
			t.Fatalf("%s after the outage began: value %v, active %t", since, value, active)
		case err == nil && since > testTimeout:
			t.Fatalf("still idle %s after the outage began", since)
		case err == nil:
			time.Sleep(10 * time.Millisecond)
			continue
		case status.Code(err) != codes.Unavailable:
			t.Fatalf("%s after the outage began: %v, want Unavailable", since, err)
		}
		s.staleSinceLastReading(asked)
		return
	}
}

func TestRedisRestartedEmpty(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	fill(redis.Do)
	s := start(t, standalone(redis.Addr()), setup{})
	// Two triggers on one queue: the staleness of the one is not over as long as this test
	// takes, that of the other is over soon.
	long, short := ref("jobs", "maxStaleness", "1h"), staleRef()
	long.Name = "long"
	s.awaitValue(long, known)
	s.awaitValue(short, known)
	redis.RestartEmpty()
	redistest.Eventually(t, "the empty queue is read", func() bool {
		if value, active, err := s.ask(long); err != nil || value < known || !active {
			t.Fatalf("after the restart: value %v, active %t (%v); before it was %d", value, active, err, known)
		}
		response, _ := explained(t, s.app.AdminAddr().String(), "long")
		return response.GetExplanations()[0].GetReading().GetMissing()
	})
	if value, active, err := s.ask(long); err != nil || value != known || !active {
		t.Errorf("after the empty queue was read: value %v, active %t (%v); before it was %d", value, active, err, known)
	}
	s.awaitValue(short, 0)
}

func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	group := redistest.StartSentinel(t)
	master := group.Master(t)
	fill(master.Do)
	master.Do("WAIT", "2", "5000")
	s := start(t, several(group.Addrs(), "mode: sentinel", "masterName: "+group.Name), setup{})
	s.awaitValue(staleRef(), known)
	s.watchOutage(staleRef(), 2*staleness, func() {
		master.Kill()
		group.AllowFailover()
	})
	promoted := group.AwaitFailover(t, master)
	promoted.Do("RPUSH", "jobs", "after the failover")
	s.awaitValue(staleRef(), known+1)
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 1)
	owner := cluster.Owner(t, "jobs")
	master := cluster.Masters[owner]
	fill(master.Do)
	master.Do("WAIT", "1", "5000")
	s := start(t, several(cluster.Addrs(), "mode: cluster"), setup{})
	s.awaitValue(staleRef(), known)
	s.watchOutage(staleRef(), 2*staleness, func() {
		master.Kill()
		cluster.AllowFailover(owner)
	})
	promoted := cluster.AwaitFailover(t, owner)
	promoted.Do("RPUSH", "jobs", "after the failover")
	s.awaitValue(staleRef(), known+1)
}

func TestWrongTypeOfKey(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("SET", "jobs", "not a list")
	s := start(t, standalone(redis.Addr()), setup{})
	_, _, err := s.ask(ref("jobs"))
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("%v, want FailedPrecondition", err)
	}
	redis.Do("DEL", "jobs")
	s.awaitValue(ref("jobs"), 0)
}

// It sets a variable of the environment, so it does not run in parallel.
func TestCredentialsRevoked(t *testing.T) {
	redis := redistest.Start(t, redistest.WithConfig("user scaler on >secret ~* &* +@all"))
	fill(redis.Do)
	t.Setenv("TEST_REDIS_PASSWORD", "secret")
	s := start(t, standalone(redis.Addr(), "username: scaler", "password: {env: TEST_REDIS_PASSWORD}"), setup{})
	s.awaitValue(staleRef(), known)
	if !s.watchOutage(staleRef(), testTimeout, func() { redis.Do("ACL", "SETUSER", "scaler", "-@all") }) {
		t.Error("the answer never became Unavailable")
	}
	redis.Do("ACL", "SETUSER", "scaler", "+@all")
	s.awaitValue(staleRef(), known)
}
