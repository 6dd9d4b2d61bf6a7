package runner

import (
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// marks are the policies that are to be decided on. Several reasons to decide are one mark.
type marks struct {
	// wake delivers after the first mark. It has room for one.
	wake chan struct{}

	mu     sync.Mutex // guards marked and order; nothing else is locked while it is held
	marked map[policies.Key]bool
	order  []policies.Key
}

func newMarks() *marks {
	return &marks{wake: make(chan struct{}, 1), marked: make(map[policies.Key]bool)}
}

// mark marks a policy.
func (m *marks) mark(key policies.Key) {
	m.mu.Lock()
	if !m.marked[key] {
		m.marked[key] = true
		m.order = append(m.order, key)
	}
	m.mu.Unlock()
	m.ring()
}

// ring has Run look again.
func (m *marks) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take removes and returns the marked policies, in the order of their marks.
func (m *marks) take() []policies.Key {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.order
	m.order = nil
	clear(m.marked)
	return taken
}
