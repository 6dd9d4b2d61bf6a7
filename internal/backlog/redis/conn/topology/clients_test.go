package topology

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
)

// asked returns the addresses of those that are asked next.
func (p *clientSet) asked() []string {
	p.fill()
	var all []string
	for _, s := range p.members {
		all = append(all, s.address)
	}
	return all
}

// TestClientSet: a few servers are asked at a time, however many there are, and in time each of
// them. One that does not answer, or is not believed, makes room.
func TestClientSet(t *testing.T) {
	t.Parallel()
	p := newClientSet(&conn.Config{Addresses: []string{"seed", "other seed"}}, conn.Login{}, ErrNoSlots, clusterClients)
	if got := p.asked(); !slices.Equal(got, []string{"seed", "other seed"}) {
		t.Errorf("at first %v are asked, want the seeds", got)
	}
	var known []string
	for i := range 100 {
		known = append(known, fmt.Sprint("node", i))
	}
	p.believe([]string{"other seed"}, known)
	first := p.asked()
	if len(first) != clusterClients || first[0] != "other seed" || slices.Contains(first, "seed") {
		t.Errorf("%v are asked, want %d without the one that was not believed", first, clusterClients)
	}
	if again := p.asked(); !slices.Equal(again, first) {
		t.Errorf("%v are asked, want the same as before, %v", again, first)
	}
	// As if it was long ago.
	clear(p.failed)
	heard := make(map[string]bool)
	for range 2 * len(known) {
		for _, address := range p.asked() {
			heard[address] = true
		}
		// As if another turn was over.
		p.turned = p.turned.Add(-2 * clientTurn)
	}
	if want := len(known) + 2; len(heard) != want {
		t.Errorf("in time %d servers are asked, want all %d", len(heard), want)
	}
	p.turned = time.Now()
	for range 10 {
		got := p.asked()
		if len(got) != clusterClients || slices.ContainsFunc(got, func(a string) bool { return !p.failed[a].IsZero() }) {
			t.Fatalf("%v are asked, want %d that did not fail lately", got, clusterClients)
		}
		p.believe(nil, known)
	}
	for _, address := range p.candidates() {
		p.failed[address] = time.Now()
	}
	if got := p.asked(); len(got) != leastClients {
		t.Errorf("%v are asked where all have failed, want %d", got, leastClients)
	}
}
