package redis

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

const (
	// clusterPanel and sentinelPanel are how many servers are asked at a time where the
	// servers are. One alone may have been removed, or be cut off from the others.
	clusterPanel, sentinelPanel = 3, 5
	// panelTurn is how often a server that was asked until then makes room for the next,
	// so that each of them is heard, and for how long one is left alone that did not answer or was
	// not believed.
	panelTurn = 10 * time.Second
	// panelLeast is how many are asked in any case.
	panelLeast = 2
	// panelWide is how many more are asked at once where the first do not agree.
	panelWide = 16
	// scoutTime bounds the answer of one server.
	scoutTime = time.Second
)

// A panel is the servers that are asked where the servers are, each over a connection of
// its own. One that does not answer, or is not believed, makes room for the next. It is
// used by one goroutine at a time.
type panel struct {
	cfg *config
	who login
	// nothing is what a null answer means, such as errNoMaster.
	nothing error
	size    int
	// seeds are the addresses of the settings, known those of the servers that were found.
	seeds, known []string
	members      []*scout
	// next is the place of the candidate that becomes a member next.
	next int
	// turned is when the last member was replaced that was believed.
	turned time.Time
	// failed is when candidates last did not answer, or were not believed.
	failed map[string]time.Time
}

// A panelAnswer is what a server answered to the commands of a panel.
type panelAnswer struct {
	from    string
	replies []resp.Reply
	// err is why the first command was not answered; the others may be refused.
	err error
}

func newPanel(cfg *config, who login, nothing error, size int) *panel {
	return &panel{cfg: cfg, who: who, nothing: nothing, size: size, seeds: cfg.addresses, turned: time.Now(), failed: make(map[string]time.Time)}
}

// ask asks the members.
func (p *panel) ask(ctx context.Context, commands ...[]any) []panelAnswer {
	p.fill()
	return ask(ctx, p.members, commands)
}

// widen asks candidates that are no members, until enough is answered or all were asked.
func (p *panel) widen(ctx context.Context, enough func([]panelAnswer) bool, commands ...[]any) []panelAnswer {
	var others []string
	for _, address := range p.candidates() {
		if !slices.ContainsFunc(p.members, func(s *scout) bool { return s.address == address }) {
			others = append(others, address)
		}
	}
	var answers []panelAnswer
	for some := range slices.Chunk(others, panelWide) {
		scouts := make([]*scout, len(some))
		for i, address := range some {
			scouts[i] = &scout{panel: p, address: address}
		}
		answers = append(answers, ask(ctx, scouts, commands)...)
		for _, s := range scouts {
			s.close()
		}
		if ctx.Err() != nil || enough(answers) {
			break
		}
	}
	return answers
}

// ask asks all of some servers at once.
func ask(ctx context.Context, scouts []*scout, commands [][]any) []panelAnswer {
	answers := make([]panelAnswer, len(scouts))
	var asking sync.WaitGroup
	for i, s := range scouts {
		asking.Go(func() { answers[i] = s.ask(ctx, commands) })
	}
	asking.Wait()
	return answers
}

// fill makes candidates members until there are enough. One that has been a member for
// long makes room first.
func (p *panel) fill() {
	candidates := p.candidates()
	if len(p.members) > 0 && len(candidates) > len(p.members) && time.Since(p.turned) > panelTurn {
		p.turned = time.Now()
		p.members[0].close()
		p.members = slices.Delete(p.members, 0, 1)
	}
	maps.DeleteFunc(p.failed, func(_ string, at time.Time) bool { return time.Since(at) > panelTurn })
	p.add(candidates, p.size, func(address string) bool { return p.failed[address].IsZero() })
	p.add(candidates, min(p.size, panelLeast), func(string) bool { return true })
}

// add makes those candidates members that fit, until there are size of them.
func (p *panel) add(candidates []string, size int, fits func(string) bool) {
	for range candidates {
		if len(p.members) >= size {
			return
		}
		address := candidates[p.next%len(candidates)]
		p.next = (p.next + 1) % len(candidates)
		if fits(address) && !slices.ContainsFunc(p.members, func(s *scout) bool { return s.address == address }) {
			p.members = append(p.members, &scout{panel: p, address: address})
		}
	}
}

func (p *panel) candidates() []string {
	var all []string
	for _, address := range slices.Concat(p.seeds, p.known) {
		if !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	return all
}

// believe notes which servers were believed, and which servers they know. Members that
// were not believed make room.
func (p *panel) believe(believed, known []string) {
	p.known = known
	for _, address := range believed {
		delete(p.failed, address)
	}
	p.members = slices.DeleteFunc(p.members, func(s *scout) bool {
		if slices.Contains(believed, s.address) {
			return false
		}
		p.failed[s.address] = time.Now()
		s.close()
		return true
	})
}

func (p *panel) close() {
	for _, s := range p.members {
		s.close()
	}
	p.members = nil
}

// problem returns why none of the servers that were asked has answered.
func problem(answers []panelAnswer) (err error) {
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
