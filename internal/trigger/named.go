package trigger

import "github.com/backlog-scaler/backlog-scaler/internal/backlog"

// maxMatching bounds the work of matching the weights of a trigger with its queues, in
// letters of the one times letters of the other, which a pattern can be made to take. What
// is beyond it is believed: the check finds slips of the pen, and takes 20 ms at most.
const maxMatchSteps = 16 << 20

// Named are the queues that a trigger names, for the question which of them a weight means.
type named struct {
	// plain are the queues, patterns the names that are patterns.
	plain    map[string]bool
	patterns []string
	// left is what is left of maxMatching.
	left int
}

func newNamed(queues backlog.Queues) *named {
	n := &named{plain: make(map[string]bool, len(queues)), left: maxMatchSteps}
	for _, queue := range queues {
		if backlog.IsPattern(queue) {
			n.patterns = append(n.patterns, queue)
		} else {
			n.plain[backlog.Unescape(queue)] = true
		}
	}
	return n
}

// has reports whether a weight may be that of a queue that is named.
func (n *named) has(weight string) bool {
	if !backlog.IsPattern(weight) {
		queue := backlog.Unescape(weight)
		if n.plain[queue] {
			return true
		}
		for _, pattern := range n.patterns {
			if n.match(pattern, queue) {
				return true
			}
		}
		return false
	}
	// Of two patterns it is unknown whether they have a queue in common.
	if len(n.patterns) > 0 {
		return true
	}
	for queue := range n.plain {
		if n.match(weight, queue) {
			return true
		}
	}
	return false
}

// match is backlog.Match until too much was matched; then it is true.
func (n *named) match(pattern, queue string) bool {
	n.left -= len(pattern) * len(queue)
	return n.left < 0 || backlog.Match(pattern, queue)
}
