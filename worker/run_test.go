package worker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// untilDrain is a loop without work.
func untilDrain(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestDrainFinishesTheJobInHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, Options{IgnoreSignals: true, Grace: time.Minute})
		start := time.Now()
		finished := false
		go func() {
			time.Sleep(10 * time.Second)
			w.Drain()
		}()
		err := w.Run(t.Context(), func(ctx context.Context) error {
			return w.Do(ctx, func(jobCtx context.Context) error {
				<-ctx.Done()
				time.Sleep(50 * time.Second)
				finished = jobCtx.Err() == nil
				return nil
			})
		})
		if err != nil || !finished {
			t.Errorf("error %v, finished %t", err, finished)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("the run took %s, want 1m0s", took)
		}
	})
}

// TestDrainWaitsForJobsOutsideOfTheLoop has a job that goes on when the loop has returned, as
// those of libraries that push messages do.
func TestDrainWaitsForJobsOutsideOfTheLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, Options{IgnoreSignals: true})
		ended := false
		err := w.Run(t.Context(), func(ctx context.Context) error {
			_, done, err := w.Begin(ctx)
			if err != nil {
				return err
			}
			go func() {
				time.Sleep(20 * time.Second)
				ended = true
				done()
			}()
			return nil
		})
		if err != nil || !ended {
			t.Errorf("error %v, ended %t", err, ended)
		}
	})
}

func TestGraceExceeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, Options{IgnoreSignals: true, Grace: 10 * time.Second, HandBack: 5 * time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var cause error
		err := w.Run(ctx, func(ctx context.Context) error {
			return w.Do(ctx, func(ctx context.Context) error {
				cancel()
				<-ctx.Done()
				cause = context.Cause(ctx)
				time.Sleep(time.Second) // hands its message back
				return ctx.Err()
			})
		})
		if !errors.Is(err, ErrGraceExceeded) || !errors.Is(cause, ErrGraceExceeded) {
			t.Errorf("error %v, cause %v; want ErrGraceExceeded", err, cause)
		}
		if want := "drain: the grace period is over after 10s; cancelled jobs: 1, still running: 0"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if took := time.Since(start); took != 11*time.Second {
			t.Errorf("the run took %s, want 11s", took)
		}
	})
}

// TestRunIsBounded has a loop and a job that end for no request.
func TestRunIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorker(t, Options{IgnoreSignals: true, Grace: 10 * time.Second, HandBack: 5 * time.Second})
		start := time.Now()
		release := make(chan struct{})
		err := w.Run(t.Context(), func(ctx context.Context) error {
			return w.Do(ctx, func(context.Context) error {
				w.Drain()
				<-release
				return nil
			})
		})
		if want := "cancelled jobs: 1, still running: 1, and the loop has not returned"; !errors.Is(err, ErrGraceExceeded) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("error %v, want it to end with %q", err, want)
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("the run took %s, want 15s", took)
		}
		close(release)
	})
}

func TestErrorsOfTheLoop(t *testing.T) {
	t.Parallel()
	failure := errors.New("the queue is gone")
	tests := map[string]struct {
		loop func(w *Worker) func(ctx context.Context) error
		want error
	}{
		"it fails":       {func(*Worker) func(context.Context) error { return func(context.Context) error { return failure } }, failure},
		"it is finished": {func(*Worker) func(context.Context) error { return func(context.Context) error { return nil } }, nil},
		"the end of its context is none": {func(w *Worker) func(context.Context) error {
			return func(ctx context.Context) error { w.Drain(); return untilDrain(ctx) }
		}, nil},
		"a cancellation of its own": {func(*Worker) func(context.Context) error {
			return func(context.Context) error { return context.Canceled }
		}, context.Canceled},
		"a failure while it drains": {func(w *Worker) func(context.Context) error {
			return func(ctx context.Context) error { w.Drain(); <-ctx.Done(); return failure }
		}, failure},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorker(t, Options{IgnoreSignals: true})
			if err := w.Run(t.Context(), test.loop(w)); !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if !w.Status().Draining {
				t.Error("the worker does not drain after its run")
			}
			if err := w.Run(t.Context(), untilDrain); err == nil {
				t.Error("a second run is accepted")
			}
		})
	}
}

// TestSignal sends SIGTERM to the process of the test, which a worker turns into a drain.
func TestSignal(t *testing.T) { //nolint:paralleltest // it signals the whole process
	w := newWorker(t, Options{Address: "127.0.0.1:0", Grace: time.Minute})
	w.SetReady(true)
	finished := false
	err := w.Run(t.Context(), func(ctx context.Context) error {
		base := "http://" + w.Addr().String()
		if code, text := get(ctx, t, base+"/readyz"); code != http.StatusOK {
			t.Errorf("ready: %d %q", code, text)
		}
		return w.Do(ctx, func(context.Context) error {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
				return err
			}
			<-ctx.Done()
			if code, text := get(ctx, t, base+"/readyz"); code != http.StatusServiceUnavailable || text != "the worker drains\n" {
				t.Errorf("ready while it drains: %d %q", code, text)
			}
			if code, text := get(ctx, t, base+"/healthz"); code != http.StatusOK {
				t.Errorf("live while it drains: %d %q", code, text)
			}
			if _, text := get(ctx, t, base+"/busy"); text != `{"busy":true,"inFlight":1,"ready":false,"draining":true}`+"\n" {
				t.Errorf("busy while it drains: %q", text)
			}
			finished = true
			return nil
		})
	})
	if err != nil || !finished {
		t.Errorf("error %v, finished %t", err, finished)
	}
}

func TestAddressIsTaken(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	w := newWorker(t, Options{Address: listener.Addr().String(), IgnoreSignals: true})
	err = w.Run(t.Context(), func(context.Context) error { t.Error("the loop runs"); return nil })
	if want := "serve probes on \"" + listener.Addr().String(); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want it to begin with %q", err, want)
	}
}

func get(ctx context.Context, t *testing.T, url string) (code int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(data)
}
