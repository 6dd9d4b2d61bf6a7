package topology

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

const (
	// clusterClients and sentinelClients are how many servers are asked at a time where the
	// servers are. One alone may have been removed, or be cut off from the others.
	clusterClients, sentinelClients = 3, 5
	// clientTurn is how often a server that was asked until then makes room for the next, so
	// that each of them is asked in time. A server that did not answer, or was not believed, is
	// left alone for as long.
	clientTurn = 10 * time.Second
	// leastClients is how many are asked in any case.
	leastClients = 2
	// wideRound is how many more are asked at once where the first do not agree.
	wideRound = 16
	// clientTimeout bounds the answer of one server.
	clientTimeout = time.Second
)

var (
	// ErrNoMaster is a sentinel that does not know the master group.
	ErrNoMaster = errors.New("it knows no master")
	// ErrNoSlots is a node of a cluster that knows no slots.
	ErrNoSlots = errors.New("it knows no slots")
)

// A clientSet is the servers that are asked where the servers are, each over a connection of
// its own. One that does not answer, or is not believed, makes room for the next. It is
// used by one goroutine at a time.
type clientSet struct {
	cfg   *conn.Config
	login conn.Login
	// nothing is what a null reply means, such as ErrNoMaster.
	nothing error
	size    int
	// seeds are the addresses of the settings, known those of the servers that were found.
	seeds, known []string
	members      []*client
	// next is the place of the candidate that becomes a member next.
	next int
	// turned is when the last member was replaced that was believed.
	turned time.Time
	// failed is when candidates last did not answer, or were not believed.
	failed map[string]time.Time
}

func newClientSet(cfg *conn.Config, login conn.Login, nothing error, size int) *clientSet {
	return &clientSet{cfg: cfg, login: login, nothing: nothing, size: size, seeds: cfg.Addresses, turned: time.Now(), failed: make(map[string]time.Time)}
}

// ask asks the members.
func (s *clientSet) ask(ctx context.Context, commands ...[]any) []answer {
	s.fill()
	return ask(ctx, s.members, commands)
}

// widen asks candidates that are no members, until enough is answered or all were asked.
func (s *clientSet) widen(ctx context.Context, enough func([]answer) bool, commands ...[]any) []answer {
	var others []string
	for _, address := range s.candidates() {
		if !slices.ContainsFunc(s.members, func(c *client) bool { return c.address == address }) {
			others = append(others, address)
		}
	}
	var answers []answer
	for some := range slices.Chunk(others, wideRound) {
		clients := make([]*client, len(some))
		for i, address := range some {
			clients[i] = &client{set: s, address: address}
		}
		answers = append(answers, ask(ctx, clients, commands)...)
		for _, c := range clients {
			c.close()
		}
		if ctx.Err() != nil || enough(answers) {
			break
		}
	}
	return answers
}

// ask asks all of some servers at once.
func ask(ctx context.Context, clients []*client, commands [][]any) []answer {
	answers := make([]answer, len(clients))
	var asking sync.WaitGroup
	for i, c := range clients {
		asking.Go(func() { answers[i] = c.ask(ctx, commands) })
	}
	asking.Wait()
	return answers
}

// fill makes candidates members until there are enough. One that has been a member for
// long makes room first.
func (s *clientSet) fill() {
	candidates := s.candidates()
	if len(s.members) > 0 && len(candidates) > len(s.members) && time.Since(s.turned) > clientTurn {
		s.turned = time.Now()
		s.members[0].close()
		s.members = slices.Delete(s.members, 0, 1)
	}
	maps.DeleteFunc(s.failed, func(_ string, at time.Time) bool { return time.Since(at) > clientTurn })
	s.add(candidates, s.size, func(address string) bool { return s.failed[address].IsZero() })
	s.add(candidates, min(s.size, leastClients), func(string) bool { return true })
}

// add makes those candidates members that fit, until there are size of them.
func (s *clientSet) add(candidates []string, size int, fits func(string) bool) {
	for range candidates {
		if len(s.members) >= size {
			return
		}
		address := candidates[s.next%len(candidates)]
		s.next = (s.next + 1) % len(candidates)
		if fits(address) && !slices.ContainsFunc(s.members, func(c *client) bool { return c.address == address }) {
			s.members = append(s.members, &client{set: s, address: address})
		}
	}
}

func (s *clientSet) candidates() []string {
	var all []string
	for _, address := range slices.Concat(s.seeds, s.known) {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// believe notes which servers were believed, and which servers they know. Members that
// were not believed make room.
func (s *clientSet) believe(believed, known []string) {
	s.known = known
	for _, address := range believed {
		delete(s.failed, address)
	}
	s.members = slices.DeleteFunc(s.members, func(c *client) bool {
		if slices.Contains(believed, c.address) {
			return false
		}
		s.failed[c.address] = time.Now()
		c.close()
		return true
	})
}

func (s *clientSet) close() {
	for _, c := range s.members {
		c.close()
	}
	s.members = nil
}

// joinErrors returns why none of the servers that were asked has answered.
func joinErrors(answers []answer) (err error) {
	for _, a := range answers {
		switch {
		case a.err == nil:
		case err == nil:
			err = a.err
		default:
			err = fmt.Errorf("%w; %w", err, a.err)
		}
	}
	return err
}
