package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// takeTimeout is how long a take waits for a job. It bounds how long a drain waits for an idle
// worker. Redis takes whole seconds here.
const takeTimeout = time.Second

// A queue is a list of jobs, and what is known about those in flight. A job is a text that is
// unlike that of every other job, such as one with an id in it.
//
// The life of a job:
//
//  1. A producer adds it: LPUSH list job.
//  2. take moves it to the list of jobs in flight, where the scaler counts it.
//     Then the worker leases it: a field of the hash of leases, with the time at which the
//     lease ends, by the clock of Redis, and the name of the worker.
//  3. The worker renews the lease while it works.
//  4. finish deletes the job and its lease. release moves it back, where it is the next one.
//  5. If the worker is killed, recoverJobs moves the job back: at once when a worker of the same
//     name starts, else from any worker once the lease has ended. A job that is in flight
//     without a lease, because its worker was killed right after the move, gets one without an
//     owner first.
//
// So each job is done at least once. It is done twice if its worker is silent for longer than a
// lease and goes on. All keys have to be in one slot of a Redis Cluster: "{images}".
type queue struct {
	client                   *redis.Client
	list, processing, leases string
	worker                   string
	lease                    time.Duration
}

// newQueue returns the queue of a list. worker owns the leases of the jobs that it
// takes, and lease is the length of one.
func newQueue(client *redis.Client, list, worker string, lease time.Duration) *queue {
	return &queue{
		client: client, list: list, processing: list + ":processing", leases: list + ":leases",
		worker: worker, lease: lease,
	}
}

// take takes the next job, and reports whether there was one within takeTimeout. It ignores the
// end of ctx, because a job whose reply is not read waits for the end of a lease.
func (q *queue) take(ctx context.Context) (job string, found bool, _ error) {
	ctx = context.WithoutCancel(ctx)
	job, err := q.client.BLMove(ctx, q.list, q.processing, "RIGHT", "LEFT", takeTimeout).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("take a job from %q: %w", q.list, err)
	}
	// A job that cannot be leased is recovered later.
	held, err := q.renew(ctx, job)
	return job, held, err
}

// renew begins the lease of a job or extends it, and reports whether the job is this worker's.
func (q *queue) renew(ctx context.Context, job string) (bool, error) {
	held, err := redis.NewScript(now+`
		local lease = redis.call('HGET', KEYS[2], ARGV[1])
		local owner = lease and string.match(lease, '^%d+ (.*)$') or ''
		if owner ~= '' and owner ~= ARGV[2] or not redis.call('LPOS', KEYS[1], ARGV[1]) then
			return 0
		end
		redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f %s', now + ARGV[3], ARGV[2]))
		return 1`,
	).Run(ctx, q.client, []string{q.processing, q.leases}, job, q.worker, q.lease.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("lease a job of %q: %w", q.list, err)
	}
	return held, nil
}

// finish deletes a job that is done, and reports whether it was still this worker's.
func (q *queue) finish(ctx context.Context, job string) (bool, error) {
	return q.end(ctx, job, false)
}

// release makes a job the next one that is taken, and reports whether it was still this
// worker's.
func (q *queue) release(ctx context.Context, job string) (bool, error) {
	return q.end(ctx, job, true)
}

func (q *queue) end(ctx context.Context, job string, again bool) (bool, error) {
	held, err := redis.NewScript(`
		local lease = redis.call('HGET', KEYS[3], ARGV[1])
		if not lease or string.match(lease, '^%d+ (.*)$') ~= ARGV[2] then
			return 0
		end
		redis.call('LREM', KEYS[2], 1, ARGV[1])
		redis.call('HDEL', KEYS[3], ARGV[1])
		if ARGV[3] == '1' then
			redis.call('RPUSH', KEYS[1], ARGV[1])
		end
		return 1`,
	).Run(ctx, q.client, q.keys(), job, q.worker, again).Bool()
	if err != nil {
		return false, fmt.Errorf("end a job of %q: %w", q.list, err)
	}
	return held, nil
}

// recoverJobs hands back all jobs whose lease has ended, and returns their number. With own it
// also hands back those that this worker has leased, which is right only while it has none.
func (q *queue) recoverJobs(ctx context.Context, own bool) (int, error) {
	recovered, err := redis.NewScript(now+`
		local recovered = 0
		for _, job in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
			local lease = redis.call('HGET', KEYS[3], job)
			if not lease then
				redis.call('HSET', KEYS[3], job, string.format('%.0f ', now + ARGV[3]))
			else
				local ends, owner = string.match(lease, '^(%d+) (.*)$')
				if tonumber(ends) < now or ARGV[2] == '1' and owner == ARGV[1] then
					redis.call('LREM', KEYS[2], 1, job)
					redis.call('HDEL', KEYS[3], job)
					redis.call('RPUSH', KEYS[1], job)
					recovered = recovered + 1
				end
			end
		end
		return recovered`,
	).Run(ctx, q.client, q.keys(), q.worker, own, q.lease.Milliseconds()).Int()
	if err != nil {
		return 0, fmt.Errorf("recover jobs of %q: %w", q.list, err)
	}
	return recovered, nil
}

func (q *queue) keys() []string { return []string{q.list, q.processing, q.leases} }

// now is the beginning of a script that has the time in milliseconds, by the clock of Redis,
// because those of workers may differ.
const now = `
		local time = redis.call('TIME')
		local now = time[1] * 1000 + math.floor(time[2] / 1000)`
