// Package listeners measures what clients cost that follow what the scaler decides: those of "scaler
// watch" and open web pages.
package listeners

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/bench/program"
	"github.com/backlog-scaler/backlog-scaler/bench/redisserver"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

const (
	// listeners is the number of clients that may listen for changes at a time.
	listeners = 16
	// listenRounds is how often the scaler is measured with and without them, each time for
	// listenTime.
	listenRounds, listenTime = 7, 5 * time.Second
	// listenCPU bounds what they cost, in percent of a core, and listenMemory in megabytes.
	listenCPU, listenMemory = 5, 32
)

// Subject is measured by itself.
func Subject() subject.Subject { return subject.Subject{Name: "listeners", Run: Run} }

// Run measures what 16 clients cost that follow 10,000 triggers: those that watch all of them, and
// those that look at a page of 100. In each second 5 % of the triggers change.
func Run(ctx context.Context, programs subject.Programs) (result subject.Result, err error) {
	err = subject.Set(ctx, programs, func(scene subject.Scene) error {
		changing := scene.Lists[:len(scene.Lists)/20]
		if err := scene.Redis.Push(ctx, changing); err != nil {
			return err
		}
		changes, stop := context.WithCancel(ctx)
		var running sync.WaitGroup
		var failed error
		running.Go(func() { failed = keepChanging(changes, scene.Redis, changing) })
		for _, kind := range kinds() {
			measurements, err := compare(ctx, scene.Scaler, kind)
			if err != nil {
				failed = errors.Join(failed, fmt.Errorf("listen by %s: %w", kind.name, err))
				break
			}
			result.Measurements = append(result.Measurements, measurements...)
		}
		stop()
		running.Wait()
		return failed
	})
	return result, err
}

// A kind is a kind of clients.
type kind struct {
	name string
	open func(ctx context.Context, address string) (read func() error, err error)
}

func kinds() []kind { return []kind{{"watch", openWatch}, {"pages", openPage}} }

// keepChanging adds a message to each list in each second, until ctx ends.
func keepChanging(ctx context.Context, r *redisserver.Server, lists []string) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := r.Push(ctx, lists); err != nil && ctx.Err() == nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// compare measures the scaler in turns without and with clients.
func compare(ctx context.Context, scaler *program.Server, kind kind) ([]measurement.Measurement, error) {
	var cpu, memory []float64
	for range listenRounds {
		without, err := observe(ctx, scaler)
		if err != nil {
			return nil, err
		}
		listening, leave := context.WithCancel(ctx)
		var reading sync.WaitGroup
		for range listeners {
			read, err := kind.open(listening, scaler.Admin)
			if err != nil {
				leave()
				return nil, err
			}
			reading.Go(func() {
				for read() == nil {
				}
			})
		}
		with, err := observe(ctx, scaler)
		leave()
		reading.Wait()
		if err != nil {
			return nil, err
		}
		cpu = append(cpu, with.cpu-without.cpu)
		memory = append(memory, with.memory-without.memory)
	}
	return []measurement.Measurement{
		measurement.Alone("listeners_"+kind.name+"_cpu", "% of a core", measurement.AtMost(listenCPU), cpu...),
		measurement.Alone("listeners_"+kind.name+"_memory", "MB", measurement.AtMost(listenMemory), memory...),
	}, nil
}

// An observed is what the scaler takes: percent of a core, and megabytes that it holds.
type observed struct{ cpu, memory float64 }

// observe looks at the scaler for a while, after a second in which it collects what opening left.
func observe(ctx context.Context, scaler *program.Server) (o observed, err error) {
	if err := rest(ctx, time.Second); err != nil {
		return o, err
	}
	before, err := scaler.CPU()
	if err != nil {
		return o, err
	}
	began := time.Now()
	if err := rest(ctx, listenTime); err != nil {
		return o, err
	}
	after, err := scaler.CPU()
	if err != nil {
		return o, err
	}
	o.cpu = 100 * (after - before).Seconds() / time.Since(began).Seconds()
	held, err := scaler.Held(ctx)
	o.memory = held / 1e6
	return o, err
}

// rest waits for a time, unless ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// openWatch opens a WatchDecisions of all triggers, on a connection of its own, and reads all of
// them.
func openWatch(ctx context.Context, address string) (read func() error, err error) {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	stream, err := inspectorpb.NewInspectorServiceClient(conn).WatchDecisions(ctx, &inspectorpb.WatchDecisionsRequest{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch: %w", err), conn.Close())
	}
	// All triggers come first.
	for complete := false; !complete; {
		response, err := stream.Recv()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("watch: %w", err), conn.Close())
		}
		complete = response.GetComplete()
	}
	return func() error {
		if _, err := stream.Recv(); err != nil {
			return errors.Join(err, conn.Close())
		}
		return nil
	}, nil
}

// openPage opens the stream of the first page of the list of triggers, on a connection of its own.
func openPage(ctx context.Context, address string) (read func() error, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/events?of=/", http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("open a page: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Do(request) //nolint:bodyclose // read closes it when it ends
	if err != nil {
		return nil, fmt.Errorf("open a page: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("open a page: %s", response.Status), response.Body.Close())
	}
	some := make([]byte, 64<<10)
	return func() error {
		if _, err := response.Body.Read(some); err != nil {
			client.CloseIdleConnections()
			return errors.Join(err, response.Body.Close())
		}
		return nil
	}, nil
}
