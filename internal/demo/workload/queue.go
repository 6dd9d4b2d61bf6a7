package workload

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A queue is where messages wait.
type queue interface {
	// parameters are the metadata of a trigger in addition to the queue's name.
	parameters() map[string]string
	// put adds messages; due matters only where the queue knows delays.
	put(ctx context.Context, messages []string, due time.Time) error
	// consumer returns one for a replica of that name.
	consumer(name string) consumer
}

// A consumer takes messages for one replica.
type consumer interface {
	// take returns a message, or "" if there is none for a while.
	take(ctx context.Context) (string, error)
	// ack says that the message is done.
	ack(ctx context.Context, message string) error
}

// takeTimeout is how long a take waits for a message, so that a replica hears soon
// that it is to stop. BLMOVE by this client knows only whole seconds.
const takeTimeout = time.Second

// newQueue makes the queue of spec.
func newQueue(ctx context.Context, client *redis.Client, spec Spec) (queue, error) {
	switch spec.Layout {
	case "list":
		return list{client, spec.Name, spec.Name + ":working"}, nil
	case "stream":
		s := stream{client: client, key: spec.Name, group: "workers"}
		return s, client.XGroupCreateMkStream(ctx, s.key, s.group, "0-0").Err()
	case "sortedSet":
		return sortedSet{client, spec.Name}, nil
	default:
		return nil, fmt.Errorf("there is no layout %q in the demo", spec.Layout)
	}
}

// A list is a reliable queue: a message is moved to a second list while it is
// worked on.
type list struct {
	client       *redis.Client
	key, working string
}

func (l list) parameters() map[string]string { return map[string]string{"inFlightList": l.working} }

func (l list) put(ctx context.Context, messages []string, _ time.Time) error {
	return l.client.LPush(ctx, l.key, messages).Err()
}

func (l list) consumer(string) consumer { return l }

func (l list) take(ctx context.Context) (string, error) {
	message, err := l.client.BLMove(ctx, l.key, l.working, "RIGHT", "LEFT", takeTimeout).Result()
	return message, unlessNone(err)
}

func (l list) ack(ctx context.Context, message string) error {
	return l.client.LRem(ctx, l.working, 1, message).Err()
}

// A stream is read by a consumer group.
type stream struct {
	client     *redis.Client
	key, group string
	// name is that of the consumer.
	name string
}

func (s stream) parameters() map[string]string { return map[string]string{"consumerGroup": s.group} }

func (s stream) put(ctx context.Context, messages []string, _ time.Time) error {
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, m := range messages {
			p.XAdd(ctx, &redis.XAddArgs{Stream: s.key, Values: []any{"message", m}})
		}
		return nil
	})
	return err
}

func (s stream) consumer(name string) consumer {
	s.name = name
	return s
}

func (s stream) take(ctx context.Context) (string, error) {
	streams, err := s.client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: s.group, Consumer: s.name, Streams: []string{s.key, ">"}, Count: 1, Block: takeTimeout,
	}).Result()
	if err != nil || len(streams) == 0 || len(streams[0].Messages) == 0 {
		return "", unlessNone(err)
	}
	return streams[0].Messages[0].ID, nil
}

// ack acknowledges the entry and deletes it, so that the stream does not grow.
func (s stream) ack(ctx context.Context, id string) error {
	_, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.XAck(ctx, s.key, s.group, id)
		p.XDel(ctx, s.key, id)
		return nil
	})
	return err
}

// A sortedSet holds jobs, scored by the Unix time in seconds at which they are due.
type sortedSet struct {
	client *redis.Client
	key    string
}

func (s sortedSet) parameters() map[string]string { return nil }

func (s sortedSet) put(ctx context.Context, messages []string, due time.Time) error {
	members := make([]redis.Z, len(messages))
	for i, m := range messages {
		members[i] = redis.Z{Score: seconds(due), Member: m}
	}
	return s.client.ZAdd(ctx, s.key, members...).Err()
}

func (s sortedSet) consumer(string) consumer { return s }

// dueInterval is how often a replica looks whether a job is due, and several at
// which it looks, so that as many replicas do not all go for the same one.
const (
	dueInterval = 100 * time.Millisecond
	several     = 10
)

// take removes a job that is due. The replica that removes it has it, so no two replicas do.
func (s sortedSet) take(ctx context.Context) (string, error) {
	due, err := s.client.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: s.key, ByScore: true, Start: "-inf", Stop: strconv.FormatFloat(seconds(time.Now()), 'f', 6, 64), Count: several,
	}).Result()
	if err != nil {
		return "", err
	}
	for _, job := range due {
		removed, err := s.client.ZRem(ctx, s.key, job).Result()
		if err != nil || removed > 0 {
			return job, err
		}
	}
	pause(ctx, dueInterval)
	return "", nil
}

// ack has nothing to do: the job was removed when it was taken.
func (s sortedSet) ack(context.Context, string) error { return nil }

func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// unlessNone drops the error that says that there was no message.
func unlessNone(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}
