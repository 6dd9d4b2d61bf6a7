// Command river drives River for the test of its layout: each line of the input is a JSON array of an
// operation and its arguments, each line of the output its result. The argument is the URL of the
// database.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

// job is the arguments of a job.
type job struct{}

// Kind implements river.JobArgs.
func (job) Kind() string { return "job" }

// A worker never ends a job.
type worker struct {
	river.WorkerDefaults[job]

	begun chan struct{}
}

// Work implements river.Worker.
func (w *worker) Work(ctx context.Context, _ *river.Job[job]) error {
	w.begun <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// Timeout implements river.Worker.
func (w *worker) Timeout(*river.Job[job]) time.Duration { return -1 }

// a driver has what the operations use.
type driver struct {
	pool   *pgxpool.Pool
	client *river.Client[pgx.Tx]
}

func main() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Args[1])
	if err != nil {
		panic(err)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		panic(err)
	}
	d := &driver{pool: pool, client: client}
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
			result, err = d.run(ctx, operation, call[1:])
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

func (d *driver) run(ctx context.Context, operation string, args []json.RawMessage) (any, error) {
	var queue string
	var n int
	for i, target := range []any{&queue, &n} {
		if i < len(args) {
			if err := json.Unmarshal(args[i], target); err != nil {
				return nil, err
			}
		}
	}
	switch operation {
	case "version":
		return version()
	case "setup":
		migrator, err := rivermigrate.New(riverpgxv5.New(d.pool), nil)
		if err != nil {
			return nil, err
		}
		_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		return true, err
	case "add":
		for range n {
			if _, err := d.client.Insert(ctx, job{}, &river.InsertOpts{Queue: queue}); err != nil {
				return nil, err
			}
		}
		return true, nil
	case "delay":
		_, err := d.client.Insert(ctx, job{}, &river.InsertOpts{Queue: queue, ScheduledAt: time.Now().Add(time.Duration(n) * time.Second)})
		return true, err
	case "take":
		return n, d.take(ctx, queue, n)
	case "pause":
		return true, d.client.QueuePause(ctx, queue, nil)
	default:
		return nil, fmt.Errorf("no operation %q", operation)
	}
}

// take starts a client that begins n jobs and never ends them.
func (d *driver) take(ctx context.Context, queue string, n int) error {
	w := &worker{begun: make(chan struct{}, n)}
	workers := river.NewWorkers()
	river.AddWorker(workers, w)
	client, err := river.NewClient(riverpgxv5.New(d.pool), &river.Config{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Queues: map[string]river.QueueConfig{queue: {MaxWorkers: n}}, Workers: workers,
	})
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	for range n {
		<-w.begun
	}
	return nil
}

// version returns that of River, which this program is built with.
func version() (any, error) {
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/riverqueue/river" {
				return strings.TrimPrefix(dependency.Version, "v"), nil
			}
		}
	}
	return nil, errors.New("the program does not know its modules")
}
