package layouttest

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Stepper reads one query of a real server as if it were any moment, so that no test waits
// for what lasts minutes.
type Stepper struct {
	t      testing.TB
	client *goredis.Client
	reader layout.Reader
}

// NewStepper returns a Stepper of a queue.
func NewStepper(t testing.TB, server *redistest.Server, l layout.Layout, queue string, params map[string]string) *Stepper {
	t.Helper()
	// The replies have the types of the older protocol, as on the scaler's own connections.
	client := server.NewClient(func(o *goredis.Options) { o.Protocol = 2 })
	q := backlog.Query{Layout: l.Name, Queue: queue, Params: backlog.NewParams(params)}
	return &Stepper{t, client, l.Prepare(q, NoSearch{})}
}

// maxRoundTrips is more than any layout takes.
const maxRoundTrips = 16

// At returns the reading at a moment.
func (s *Stepper) At(now time.Time) backlog.Reading {
	s.t.Helper()
	var trips layout.RoundTrips
	trips.Begin(s.ask(s.reader.Commands(nil, now)), now)
	for range maxRoundTrips {
		r, err := s.reader.Read(&trips)
		if commands := trips.End(err); commands != nil {
			trips.Answer(s.ask(commands), now)
			continue
		}
		if err != nil {
			s.t.Fatalf("read at %v: %v", now, err)
		}
		return r
	}
	s.t.Fatalf("more than %d round trips", maxRoundTrips)
	return backlog.Reading{}
}

// ask returns the replies to commands.
func (s *Stepper) ask(commands []resp.Command) (replies []resp.Reply) {
	s.t.Helper()
	for _, c := range commands {
		value, err := s.client.Do(s.t.Context(), c.Args...).Result()
		switch {
		case errors.Is(err, goredis.Nil):
			err = resp.ErrNil
		case err != nil && !resp.IsServerError(err):
			s.t.Fatalf("%v: %v", c.Args, err)
		}
		replies = append(replies, resp.Reply{Value: value, Err: err, Server: &resp.Server{}})
	}
	return replies
}

// NoSearch is a layout.KeySearch that never ends an attempt.
type NoSearch struct{}

// Begin implements layout.KeySearch.
func (NoSearch) Begin(layout.Search) {}

// Find implements layout.KeySearch.
func (NoSearch) Find(layout.Search, time.Time) layout.Found {
	return layout.Found{Problem: backlog.ErrUnavailable}
}

// Hint implements layout.KeySearch.
func (NoSearch) Hint(layout.Search, time.Time) layout.Found {
	return layout.Found{Problem: backlog.ErrUnavailable}
}

// SearchSince implements layout.KeySearch.
func (NoSearch) SearchSince(layout.Search, time.Time) {}

// runAt runs commands. Each word is an argument, in which NOW stands for the moment.
func runAt(server *redistest.Server, commands []string, now time.Time) {
	for _, command := range commands {
		server.Do(Words(strings.ReplaceAll(command, "NOW", strconv.FormatInt(now.Unix(), 10)))...)
	}
}
