package network_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/network"
)

// A session is one of a fake server.
type session struct {
	address  string
	ended    atomic.Bool
	graceful []bool
}

func (s *session) Alive() bool { return !s.ended.Load() }

func (s *session) Close(gracefully bool) {
	s.graceful = append(s.graceful, gracefully)
	s.ended.Store(true)
}

// TestConnector: calls share an attempt, the address that answered last is tried first, and Close waits.
func TestConnector(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		life, end := context.WithCancel(t.Context())
		var tasks sync.WaitGroup
		var tried []string
		var before []int
		down := map[string]bool{"a": true}
		c := &network.Connector[*session]{Addresses: []string{"a", "b"}, Tasks: &tasks, Open: func(address string, opened int) (*session, error) {
			tried, before = append(tried, address), append(before, opened)
			select {
			case <-time.After(time.Second):
			case <-life.Done():
				return nil, backlog.ErrUnavailable
			}
			if down[address] {
				return nil, backlog.ErrUnavailable
			}
			if address == "panic" {
				panic("a panic")
			}
			return &session{address: address}, nil
		}}
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := c.Session(short); !errors.Is(err, backlog.ErrUnavailable) {
			t.Errorf("a call that ends before the attempt: %v", err)
		}
		var sessions [3]*session
		var calls sync.WaitGroup
		for i := range sessions {
			calls.Go(func() { sessions[i], _ = c.Session(t.Context()) })
		}
		calls.Wait()
		first := sessions[0]
		if first == nil || first.address != "b" || sessions[1] != first || sessions[2] != first || !slices.Equal(tried, []string{"a", "b"}) || c.Address() != "b" {
			t.Fatalf("the sessions are %v, after %q", sessions, tried)
		}
		first.ended.Store(true)
		if last, has := c.Last(); !has || last != first {
			t.Errorf("the last session is %v, %v", last, has)
		}
		second, err := c.Session(t.Context())
		if err != nil || second == first || !slices.Equal(tried[2:], []string{"b"}) || !slices.Equal(before, []int{0, 0, 1}) || !slices.Equal(first.graceful, []bool{false}) {
			t.Fatalf("the next session is %v, %v, after %q, %v", second, err, tried, before)
		}
		panics := &network.Connector[*session]{Addresses: []string{"panic"}, Tasks: &tasks, Open: c.Open}
		if _, err := panics.Session(t.Context()); !errors.Is(err, backlog.ErrPanic) {
			t.Errorf("an attempt that causes a panic: %v", err)
		}
		second.ended.Store(true)
		third, err := c.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end()
		c.Close()
		tasks.Wait()
		if _, err := c.Session(t.Context()); !errors.Is(err, backlog.ErrUnavailable) || !slices.Equal(third.graceful, []bool{true}) {
			t.Errorf("after Close: %v, closed %v", err, third.graceful)
		}
	})
}
