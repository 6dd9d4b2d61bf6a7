package resque_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// orphanFigures are those of a reading with work that nothing will move.
type orphanFigures struct {
	Figures           layouttest.Figures
	Orphaned, Ignored int64
}

func orphanFiguresOf(r backlog.Reading) orphanFigures {
	return orphanFigures{layouttest.FiguresOf(r), r.Orphaned, r.Ignored}
}

// A resqueOrphan is a state of Resque, and what is read of its queue q.
type resqueOrphan struct {
	commands []string
	after    string // OrphanedAfter, if any
	want     orphanFigures
	warning  string // a part of it; "" if there is none
}

func (o resqueOrphan) run(t *testing.T) {
	t.Helper()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, "%R~resque:*", redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules))
	server.Do("SADD", "resque:queues", "q")
	for _, command := range o.commands {
		server.Do(layouttest.Words(command)...)
	}
	q := layouttest.Query("resque", "q")
	if o.after != "" {
		q = layouttest.Query("resque", "q", "orphanedAfter", o.after)
	}
	for range 2 {
		r := backlogtest.MustRead(t, source, q)
		if diff := cmp.Diff(o.want, orphanFiguresOf(r)); diff != "" {
			t.Errorf("%s: %s", r.Warning, diff)
		}
		if (r.Warning == "") != (o.warning == "") || !strings.Contains(r.Warning, o.warning) {
			t.Errorf("the warning is %q, want %q", r.Warning, o.warning)
		}
	}
}

// resqueWorker are the commands by which a worker of Resque has a job of q, or none, and
// sent its last heartbeat some time ago.
func resqueWorker(worker string, busy bool, silent time.Duration) []string {
	all := []string{
		"SADD resque:workers " + worker,
		fmt.Sprintf("HSET resque:workers:heartbeat %s %s", worker, time.Now().Add(-silent).UTC().Format(time.RFC3339)),
	}
	if busy {
		all = append(all, fmt.Sprintf(`SET resque:worker:%s {"queue":"q","run_at":"2026-01-01T00:00:00Z","payload":{}}`, worker))
	}
	return all
}

// nodeWorker are the same of node-resque.
func nodeWorker(name string, silent time.Duration) []string {
	return []string{
		fmt.Sprintf("SADD resque:workers %s:q", name),
		fmt.Sprintf(`SET resque:worker:ping:%s {"time":%d,"name":%q,"queues":"q"}`, name, time.Now().Add(-silent).Unix(), name),
		fmt.Sprintf(`SET resque:worker:%s:q {"queue":"q","worker":%q,"payload":{}}`, name, name),
	}
}

// TestResqueSilentWorkers: the job of a worker that is dead to Resque is orphaned where
// nothing removes it.
func TestResqueSilentWorkers(t *testing.T) {
	t.Parallel()
	inFlight := func(n int64) orphanFigures {
		return orphanFigures{Figures: layouttest.Figures{InFlight: backlog.Exactly(n)}}
	}
	orphaned := func(n, orphans int64) orphanFigures {
		return orphanFigures{layouttest.Figures{InFlight: backlog.Exactly(n), Quality: backlog.UpperBound}, orphans, 0}
	}
	ignored := func(n, ignored int64) orphanFigures {
		return orphanFigures{layouttest.Figures{InFlight: backlog.Exactly(n)}, 0, ignored}
	}
	alive := resqueWorker("host-2:7:q", false, 10*time.Second)
	dead := resqueWorker("host-1:7:q", true, time.Hour)
	const leader = "SET resque:resque_scheduler_leader_lock host:1"
	for name, c := range map[string]resqueOrphan{
		"next to a living one":          {slices.Concat(dead, alive), "", orphaned(1, 1), "sent no heartbeat for more than 5m, and nothing removes it"},
		"next to a living one, bounded": {slices.Concat(dead, alive), "30m", ignored(0, 1), "has not counted since orphanedAfter"},
		"next to a living one, in time": {slices.Concat(dead, alive), "2h", orphaned(1, 1), "sent no heartbeat"},
		"next to a busy one":            {slices.Concat(dead, resqueWorker("host-2:7:q", true, 10*time.Second)), "", orphaned(2, 1), "set orphanedAfter to stop counting it"},
		"next to a busy one, bounded":   {slices.Concat(dead, resqueWorker("host-2:7:q", true, 10*time.Second)), "30m", ignored(1, 1), "has not counted"},
		// The first one that starts removes it.
		"alone":                       {dead, "30m", inFlight(1), ""},
		"late":                        {slices.Concat(resqueWorker("host-1:7:q", true, 4*time.Minute), alive), "1m", inFlight(1), ""},
		"idle":                        {slices.Concat(resqueWorker("host-1:7:q", false, time.Hour), alive), "", inFlight(0), ""},
		"a version without":           {slices.Concat(alive, []string{"SADD resque:workers old:7:q", `SET resque:worker:old:7:q {"queue":"q"}`}), "1m", inFlight(1), ""},
		"a heartbeat of another kind": {slices.Concat(dead, alive, []string{"HSET resque:workers:heartbeat host-1:7:q yesterday"}), "1m", inFlight(1), ""},
		"node-resque":                 {nodeWorker("host-1:7", 10*time.Minute), "", orphaned(1, 1), "sent no heartbeat"},
		"node-resque, bounded":        {nodeWorker("host-1:7", 10*time.Minute), "5m", ignored(0, 1), "has not counted"},
		"node-resque, alive":          {nodeWorker("host-1:7", 10*time.Second), "1s", inFlight(1), ""},
		"node-resque, a short name":   {nodeWorker("worker", 10*time.Minute), "", orphaned(1, 1), "sent no heartbeat"},
		// Its scheduler removes it within the hour.
		"node-resque, scheduled":       {append(nodeWorker("host-1:7", 10*time.Minute), leader), "1m", inFlight(1), ""},
		"node-resque, never scheduled": {append(nodeWorker("host-1:7", 2*time.Hour), leader), "", orphaned(1, 1), "sent no heartbeat"},
		"both":                         {slices.Concat(dead, alive, nodeWorker("host-3:7", 10*time.Minute)), "", orphaned(2, 2), "sent no heartbeat"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// TestResqueOverdue: a job that stays due while no scheduler holds its lock is orphaned.
func TestResqueOverdue(t *testing.T) {
	t.Parallel()
	due := func(ago time.Duration, queue string, n int) []string {
		at := time.Now().Add(-ago).Unix()
		jobs := strings.Repeat(fmt.Sprintf(` {"queue":%q}`, queue), n)
		return []string{
			fmt.Sprintf("ZADD resque:delayed_queue_schedule %d %d", at, at),
			fmt.Sprintf("RPUSH resque:delayed:%d%s", at, jobs),
		}
	}
	known := func(n int64) orphanFigures {
		return orphanFigures{Figures: layouttest.Figures{Due: n, InFlight: backlog.Exactly(0)}}
	}
	orphaned := func(n, orphans int64) orphanFigures {
		return orphanFigures{layouttest.Figures{Due: n, InFlight: backlog.Exactly(0), Quality: backlog.UpperBound}, orphans, 0}
	}
	ignored := func(n, ignored int64) orphanFigures {
		return orphanFigures{layouttest.Figures{Due: n, InFlight: backlog.Exactly(0)}, 0, ignored}
	}
	unseen := orphanFigures{layouttest.Figures{Due: 1, InFlight: backlog.Exactly(0), Quality: backlog.LowerBound}, 0, 0}
	const text = "no scheduler holds its lock"
	hour := due(time.Hour, "q", 2)
	var moments []string
	for i := range 150 {
		moments = append(moments, due(time.Hour+time.Duration(i)*time.Second, "other", 1)...)
	}
	for name, c := range map[string]resqueOrphan{
		"for an hour":            {hour, "", orphaned(2, 2), text},
		"for an hour, bounded":   {hour, "30m", ignored(0, 2), text},
		"for an hour, in time":   {hour, "2h", orphaned(2, 2), text},
		"for a minute":           {due(time.Minute, "q", 2), "1s", known(2), ""},
		"for both, bounded":      {slices.Concat(hour, due(time.Minute, "q", 1)), "30m", ignored(1, 2), text},
		"resque-scheduler":       {append(hour, "SET resque:resque:resque_scheduler_master_lock host:1"), "30m", known(2), ""},
		"resque-scheduler, bare": {append(hour, "SET resque:resque_scheduler_master_lock host:1"), "30m", known(2), ""},
		"node-resque":            {append(hour, "SET resque:resque_scheduler_leader_lock host:1"), "30m", known(2), ""},
		"many moments": {
			slices.Concat(moments, hour), "",
			unseen, "",
		},
		"many moments, bounded":           {slices.Concat(moments, hour), "30m", known(0), ""},
		"many moments, recent, bounded":   {slices.Concat(moments, due(time.Minute, "q", 1)), "30m", unseen, ""},
		"many jobs of a moment, bounded":  {due(time.Hour, "other", 100), "30m", known(0), ""},
		"many jobs of a moment, in time":  {due(time.Hour, "other", 100), "2h", unseen, ""},
		"many jobs of a moment, recently": {due(time.Minute, "other", 100), "1s", unseen, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t)
		})
	}
}

// TestResqueWithoutRights: where the server does not allow to look for heartbeats and
// locks, jobs count as before, and nothing is orphaned.
func TestResqueWithoutRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const keys = "%R~resque:queue:* %R~resque:queues %R~resque:workers %R~resque:worker:* %R~resque:delayed*"
	source := layouttest.OpenServer(t, server, layouttest.User(redistest.Version{}, server, keys, redis.ACLRules, redis.ACLFrameworkRules, redis.ACLResqueRules))
	at := time.Now().Add(-time.Hour).Unix()
	for _, command := range slices.Concat(
		resqueWorker("host-1:7:q", true, time.Hour), resqueWorker("host-2:7:q", false, 0),
		[]string{fmt.Sprintf("ZADD resque:delayed_queue_schedule %d %d", at, at), fmt.Sprintf(`RPUSH resque:delayed:%d {"queue":"q"}`, at)},
	) {
		server.Do(layouttest.Words(command)...)
	}
	r := backlogtest.MustRead(t, source, layouttest.Query("resque", "q", "orphanedAfter", "1m"))
	want := orphanFigures{Figures: layouttest.Figures{Due: 1, InFlight: backlog.Exactly(1)}}
	if diff := cmp.Diff(want, orphanFiguresOf(r)); diff != "" || !strings.Contains(r.Warning, "whether the workers that hold jobs are alive is not known") {
		t.Errorf("the warning is %q: %s", r.Warning, diff)
	}
}

// TestResqueOrphansOfPatterns: a pattern warns of its queues as their names do.
func TestResqueOrphansOfPatterns(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	server.Do("SADD", "resque:queues", "q", "r")
	for _, command := range slices.Concat(resqueWorker("host-1:7:q", true, time.Hour), resqueWorker("host-2:7:q", false, 0)) {
		server.Do(layouttest.Words(command)...)
	}
	for _, queue := range []string{"?", "q,r"} {
		r := backlogtest.MustRead(t, source, layouttest.Query("resque", queue))
		want := orphanFigures{layouttest.Figures{InFlight: backlog.Exactly(1), Quality: backlog.UpperBound}, 1, 0}
		if diff := cmp.Diff(want, orphanFiguresOf(r)); diff != "" || !strings.Contains(r.Warning, "sent no heartbeat") || len(r.Parts) != 2 {
			t.Errorf("%s: warning %q of %d parts: %s", queue, r.Warning, len(r.Parts), diff)
		}
	}
}

// TestResquePaused: Resque hands out nothing while its key says so, as Resque reads it.
func TestResquePaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	source := layouttest.OpenServer(t, server, nil)
	q := layouttest.Query("resque", "q")
	server.Do("RPUSH", "resque:queue:q", "{}")
	for value, want := range map[string]bool{"true": true, "True\n": true, "false": false, "": false, "1": false} {
		server.Do("SET", "resque:pause-all-workers", value)
		if r := backlogtest.MustRead(t, source, q); r.Paused != want || r.Ready != 1 {
			t.Errorf("%q: %+v, want paused to be %t", value, r, want)
		}
	}
}

// TestResqueOrphansOfNodeResque: a worker of the real library that was killed is orphaned
// once its ping is old, and its real scheduler holds the lock that is looked for.
func TestResqueOrphansOfNodeResque(t *testing.T) {
	t.Parallel()
	r := startResque(t, "shop")
	source := layouttest.OpenServer(t, r.server, nil)
	q := layouttest.Query("resque", "mail", "namespace", "shop")
	bounded := layouttest.Query("resque", "mail", "namespace", "shop", "orphanedAfter", "5m")
	r.Do(nil, "push", "mail", "sleep", 600_000)
	worker := r.start("worker", "mail")
	redistest.Eventually(t, "the worker has the job", func() bool { return r.counts("mail").Work == 1 })
	worker.Kill()
	if reading := r.agree("killed", source, q); reading.Orphaned != 0 || reading.Quality != backlog.Exact {
		t.Errorf("right after it was killed: %+v", reading)
	}
	pings, _ := r.server.Do("KEYS", "shop:worker:ping:*").([]any)
	if len(pings) != 1 {
		t.Fatalf("pings are %v, want one", pings)
	}
	// What the ping says half an hour later. After an hour a scheduler removes the worker.
	var ping map[string]any
	text, _ := r.server.Do("GET", pings[0]).(string)
	if err := json.Unmarshal([]byte(text), &ping); err != nil {
		t.Fatal(err)
	}
	ping["time"] = time.Now().Add(-30 * time.Minute).Unix()
	old, err := json.Marshal(ping)
	if err != nil {
		t.Fatal(err)
	}
	r.server.Do("SET", pings[0], old)
	if reading := r.agree("silent", source, q); reading.Orphaned != 1 || reading.Quality != backlog.UpperBound {
		t.Errorf("half an hour after it was killed: %+v", reading)
	}
	if reading := backlogtest.MustRead(t, source, bounded); reading.Backlog() != 0 || reading.Ignored != 1 {
		t.Errorf("bounded: %+v", reading)
	}
	r.start("scheduler")
	redistest.Eventually(t, "the scheduler holds its lock", func() bool {
		return r.server.Do("EXISTS", "shop:resque_scheduler_leader_lock") == int64(1)
	})
	if reading := backlogtest.MustRead(t, source, bounded); reading.InFlight.N != 1 || reading.Orphaned+reading.Ignored != 0 {
		t.Errorf("with a scheduler, which will remove it: %+v", reading)
	}
	// It moves what is due.
	r.Do(nil, "at", "mail", time.Now().Add(-time.Hour).UnixMilli(), "sleep", 1)
	redistest.Eventually(t, "the scheduler has moved the job", func() bool {
		return backlogtest.MustRead(t, source, q).Ready == 1
	})
}
