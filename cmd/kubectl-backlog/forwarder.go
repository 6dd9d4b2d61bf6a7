package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/releases"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/tunnel"
)

// The bounds of a forwarder: connections of browsers at a time, the time that a connection waits for a replica, and the
// pauses between two attempts.
const (
	maxForwarded = 64
	patience     = time.Minute
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// A forwarder forwards connections to one replica, and to another one if that is gone.
type forwarder struct {
	find func(ctx context.Context) ([]releases.Pod, error)
	open func(pod releases.Pod) (*tunnel.Tunnel, error)
	note func(string)

	// semaphore of one guards what follows. It is held over I/O.
	semaphore chan struct{}
	pod       releases.Pod
	tunnel    *tunnel.Tunnel // to pod; nil if there is none
}

func newForwarder(find func(context.Context) ([]releases.Pod, error), open func(releases.Pod) (*tunnel.Tunnel, error), note func(string)) *forwarder {
	return &forwarder{find: find, open: open, note: note, semaphore: make(chan struct{}, 1)}
}

// Close ends all connections to pods.
func (f *forwarder) Close() error {
	f.semaphore <- struct{}{}
	defer func() { <-f.semaphore }()
	if f.tunnel == nil {
		return nil
	}
	err := f.tunnel.Close()
	f.tunnel = nil
	return err
}

// serve forwards the connections of a listener until ctx ends.
func (f *forwarder) serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	places := make(chan struct{}, maxForwarded)
	var running sync.WaitGroup
	defer running.Wait()
	for {
		places <- struct{}{}
		accepted, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil // the listener is closed because of that
		case err != nil:
			return fmt.Errorf("accept a connection of a browser: %w", err)
		}
		running.Go(func() {
			defer func() { <-places }()
			f.forward(ctx, accepted)
		})
	}
}

// forward carries one connection of a browser to a replica.
func (f *forwarder) forward(ctx context.Context, accepted net.Conn) {
	defer func() { _ = accepted.Close() }()
	reached, err := f.dial(ctx)
	if err != nil {
		if ctx.Err() == nil {
			f.note(err.Error())
		}
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = reached.Close() })
	defer stop()
	var sending sync.WaitGroup
	sending.Go(func() {
		_, _ = io.Copy(reached, accepted)
		_ = reached.Close() // the browser has gone
	})
	received := &reader{Reader: reached}
	_, _ = io.Copy(accepted, received)
	_ = accepted.Close()
	_ = reached.Close()
	sending.Wait()
	// Such as a port at which nothing listens any more. What happens to the browser is no fault of the replica.
	if received.err != nil && ctx.Err() == nil && !errors.Is(received.err, io.ErrClosedPipe) {
		f.leave(received.err)
	}
}

// A reader keeps the error of a read, because io.Copy returns that of a write alike.
type reader struct {
	io.Reader

	err error
}

// Read reads, and keeps the error unless it is the end.
func (r *reader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// leave takes another replica from now on.
func (f *forwarder) leave(why error) {
	f.semaphore <- struct{}{}
	defer func() { <-f.semaphore }()
	f.drop(why)
}

// drop closes the tunnel, and so the connections over it. The semaphore is held.
func (f *forwarder) drop(why error) {
	if f.tunnel == nil {
		return
	}
	f.note(why.Error())
	_ = f.tunnel.Close() // it failed already
	f.tunnel = nil
}

// dial connects to a replica, and tries again for a while.
func (f *forwarder) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		c, err := f.try(ctx)
		if err == nil || ctx.Err() != nil || apierrors.IsForbidden(err) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// try connects to the replica in use, or to another one.
func (f *forwarder) try(ctx context.Context) (net.Conn, error) {
	select {
	case f.semaphore <- struct{}{}:
		defer func() { <-f.semaphore }()
	case <-ctx.Done():
		return nil, fmt.Errorf("reach the scaler: %w", ctx.Err())
	}
	if f.tunnel != nil {
		c, err := f.tunnel.Dial(ctx)
		if err == nil {
			return c, nil
		}
		f.drop(err)
	}
	pods, err := f.find(ctx)
	if err != nil {
		return nil, err
	}
	// The one that failed comes last.
	i := slices.Index(pods, f.pod)
	next := pods[(i+1)%len(pods)]
	opened, err := f.open(next)
	if err != nil {
		return nil, err
	}
	c, err := opened.Dial(ctx)
	f.pod = next
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	f.tunnel = opened
	f.note(fmt.Sprintf("The page is that of pod %s/%s.", next.Namespace, next.Name))
	return c, nil
}
