// Command asynq drives asynq for the test of its layout: each line of the input is a
// JSON array of an operation and its arguments, each line of the output its result.
// The argument is the host:port of the server.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hibiken/asynq"
)

var errToldTo = errors.New("as told")

// options of a task: when it is due, how often it is retried, and its group.
type options struct {
	In    string
	Retry int
	Group string
}

// a driver has what the operations use.
type driver struct {
	redis     asynq.RedisClientOpt
	client    *asynq.Client
	inspector *asynq.Inspector
}

func main() {
	redis := asynq.RedisClientOpt{Addr: os.Args[1]}
	d := &driver{redis: redis, client: asynq.NewClient(redis), inspector: asynq.NewInspector(redis)}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var call []json.RawMessage
		var operation string
		err := json.Unmarshal(lines.Bytes(), &call)
		if err == nil {
			err = json.Unmarshal(call[0], &operation)
		}
		var result any
		if err == nil {
			result, err = d.run(operation, call[1:])
		}
		answer := map[string]any{"result": result}
		if err != nil {
			answer = map[string]any{"error": err.Error()}
		}
		line, err := json.Marshal(answer)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}

func (d *driver) run(operation string, args []json.RawMessage) (any, error) {
	var queue string
	if len(args) > 0 {
		if err := json.Unmarshal(args[0], &queue); err != nil {
			return nil, err
		}
	}
	switch operation {
	case "version":
		return version()
	case "add":
		return d.add(queue, args)
	case "info":
		return d.inspector.GetQueueInfo(queue)
	case "firstDue":
		return d.firstDue(queue)
	case "pause":
		return true, d.inspector.PauseQueue(queue)
	case "resume":
		return true, d.inspector.UnpauseQueue(queue)
	case "work":
		var concurrency int
		if err := json.Unmarshal(args[1], &concurrency); err != nil {
			return nil, err
		}
		return true, d.work(queue, concurrency)
	default:
		return nil, fmt.Errorf("no operation %q", operation)
	}
}

// version returns that of asynq, which this program is built with.
func version() (any, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/hibiken/asynq" {
				return strings.TrimPrefix(dependency.Version, "v"), nil
			}
		}
	}
	return nil, errors.New("the program does not know its modules")
}

// add enqueues a task. What becomes of it is its type.
func (d *driver) add(queue string, args []json.RawMessage) (any, error) {
	var kind string
	var o options
	if err := errors.Join(json.Unmarshal(args[1], &kind), json.Unmarshal(args[2], &o)); err != nil {
		return nil, err
	}
	all := []asynq.Option{asynq.Queue(queue), asynq.MaxRetry(o.Retry), asynq.Timeout(time.Hour)}
	if o.In != "" {
		in, err := time.ParseDuration(o.In)
		if err != nil {
			return nil, err
		}
		all = append(all, asynq.ProcessIn(in))
	}
	if o.Group != "" {
		all = append(all, asynq.Group(o.Group))
	}
	info, err := d.client.Enqueue(asynq.NewTask(kind, []byte("payload")), all...)
	if err != nil {
		return nil, err
	}
	return info.NextProcessAt, nil
}

// firstDue returns when the first scheduled task, or the first retried one, is due.
func (d *driver) firstDue(queue string) (any, error) {
	for _, list := range []func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		d.inspector.ListScheduledTasks, d.inspector.ListRetryTasks,
	} {
		tasks, err := list(queue)
		if err != nil {
			return nil, err
		}
		if len(tasks) > 0 {
			return tasks[0].NextProcessAt, nil
		}
	}
	return nil, errors.New("none")
}

// work starts a worker that goes on until the process ends.
func (d *driver) work(queue string, concurrency int) error {
	server := asynq.NewServer(d.redis, asynq.Config{
		Concurrency: concurrency, Queues: map[string]int{queue: 1}, LogLevel: asynq.FatalLevel,
		RetryDelayFunc:   func(int, error, *asynq.Task) time.Duration { return time.Hour },
		GroupGracePeriod: time.Second,
		// A group is aggregated for as long as the process lives.
		GroupAggregator: asynq.GroupAggregatorFunc(func(string, []*asynq.Task) *asynq.Task { select {} }),
	})
	return server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		switch task.Type() {
		case "hang":
			select {}
		case "fail":
			return errToldTo
		default:
			return nil
		}
	}))
}
