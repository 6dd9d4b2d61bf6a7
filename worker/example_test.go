package worker_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/worker"
)

// A consumer takes jobs until the worker drains. The job in hand is finished, and the next one
// is handed back. In a real worker SIGTERM takes the place of Drain.
func Example() {
	queue := make(chan string, 3)
	queue <- "invoice 1"
	queue <- "invoice 2"
	queue <- "invoice 3"

	w, err := worker.New(worker.Options{Address: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = w.Run(context.Background(), func(ctx context.Context) error {
		w.SetReady(true)
		for job := range queue {
			err := w.Do(ctx, func(context.Context) error {
				if job == "invoice 2" {
					w.Drain()
				}
				fmt.Println("done:", job)
				return nil
			})
			if errors.Is(err, worker.ErrDraining) {
				fmt.Println("handed back:", job)
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	fmt.Println("ended:", err)
	// Output:
	// done: invoice 1
	// done: invoice 2
	// handed back: invoice 3
	// ended: <nil>
}

// ExampleWorker_Begin shows a worker that a library calls for each message: the end of a job is
// where its message is acknowledged.
func ExampleWorker_Begin() {
	w, err := worker.New(worker.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, done, err := w.Begin(context.Background())
	if err != nil {
		fmt.Println("reject the message, so that another worker gets it:", err)
		return
	}
	fmt.Println(w.Status().InFlight, ctx.Err())
	done()
	fmt.Println(w.Status().InFlight)
	// Output:
	// 1 <nil>
	// 0
}
