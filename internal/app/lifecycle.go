package app

import (
	"context"
	"fmt"
	"slices"
)

// A part is one part of the App that is started and stopped.
type part struct {
	name string
	// run serves until stop is called or its ctx ends. An error ends the App. It is nil where
	// the part has no goroutine.
	run func(context.Context) error
	// stop makes run return, and waits for what is under way until its ctx ends. It is nil
	// where the end of run's ctx is enough.
	stop func(context.Context)

	// cancel ends the ctx of run, and stopped is closed when run has returned; nil before
	// start, and without run.
	cancel  context.CancelFunc
	stopped chan struct{}
}

// parts are started in the order in which they were added, and stopped in the reverse order.
// One goroutine at a time uses them: New, and then Run.
type parts []*part

func (p *parts) add(added part) { *p = append(*p, &added) }

// start starts the goroutine of each part. The channel delivers the errors that end one.
func (p parts) start(ctx context.Context) <-chan error {
	failed := make(chan error, len(p))
	for _, part := range p {
		if part.run == nil {
			continue
		}
		running, cancel := context.WithCancel(ctx)
		part.cancel, part.stopped = cancel, make(chan struct{})
		go func() {
			defer close(part.stopped)
			if err := part.run(running); err != nil {
				failed <- fmt.Errorf("%s: %w", part.name, err)
			}
		}()
	}
	return failed
}

// stop stops each part and waits for its goroutine, the last part first. ctx bounds how long
// a part may wait for what is under way.
func (p parts) stop(ctx context.Context) {
	for _, part := range slices.Backward(p) {
		if part.stop != nil {
			part.stop(ctx)
		}
		if part.cancel != nil {
			part.cancel()
			<-part.stopped
		}
	}
}
