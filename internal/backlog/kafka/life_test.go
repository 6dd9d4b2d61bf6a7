package kafka

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

func describe(id byte, err error) *description {
	return &description{at: time.Now(), id: [16]byte{id}, leaders: []leader{{id: 1}}, err: err}
}

// seen is a waiter that has looked into some spans, and looks into no others.
type seen struct {
	waiter

	findings map[tail.Span]tail.Finding
}

func (s *seen) Look(_ int32, at tail.Span, _ backlog.Query, _ time.Time) (f tail.Finding, known bool) {
	f, known = s.findings[at]
	return f, known
}

// TestOtherLife: a marker at an offset says nothing of that offset after messages were lost, or in
// another topic of the same name.
func TestOtherLife(t *testing.T) {
	t.Parallel()
	now := time.Now()
	tails := seen{}
	read := &topic{name: "orders", id: [16]byte{1}}
	read.begin(describe(1, nil))
	m := &measurement{source: &source{tails: &tails}, job: &job{spec: &spec{missing: missingEarliest}}, topic: read, now: now}
	at := position{committed: 3, end: 4, high: 4}
	quiet := &commits{progress: []progress{{committed: 3, end: 4, quiet: now.Add(-time.Hour)}}}
	tails.findings = map[tail.Span]tail.Finding{m.before(0, at): {Empty: true}}
	if rest := m.rest(quiet, 0, at, 1); rest != 0 {
		t.Errorf("a marker reads as %d", rest)
	}
	read.losses++
	if rest := m.rest(quiet, 0, at, 1); rest != 1 {
		t.Errorf("1 message where a marker was before a loss reads as %d", rest)
	}
	m.topic = &topic{name: "orders", id: [16]byte{2}}
	m.topic.begin(describe(2, nil))
	if rest := m.rest(quiet, 0, at, 1); rest != 1 {
		t.Errorf("1 message where a marker was in a former topic reads as %d", rest)
	}
}

// TestOtherTopic: a topic that was created again is another one, and a description with an error
// makes none.
func TestOtherTopic(t *testing.T) {
	t.Parallel()
	s := &source{topics: make(map[string]*topic), groups: make(map[groupKey]*group), catalog: newCatalog(nil)}
	find := func(d *description) *topic {
		t.Helper()
		d.at = time.Now()
		s.catalog.topics["orders"] = d
		if d.err == nil {
			j := &job{spec: &spec{names: []string{"orders"}}}
			if ready := s.find(t.Context(), []*job{j}, false); len(ready) != 1 || j.topics[0] != s.topics["orders"] {
				t.Fatalf("the job is %+v", j)
			}
		} else {
			s.topics["orders"].begin(d)
		}
		return s.topics["orders"]
	}
	first := find(describe(1, nil))
	first.partitions[0].highest = 7
	if again := find(describe(1, nil)); again != first || again.partitions[0].highest != 7 {
		t.Error("the same topic is another one")
	}
	if first.isAnother(describe(0, backlog.ErrUnavailable)) {
		t.Error("an error makes another topic")
	}
	find(describe(0, backlog.ErrUnavailable))
	if again := find(describe(1, nil)); again != first || again.partitions[0].highest != 7 {
		t.Error("after an error nothing is known of the topic")
	}
	other := find(describe(2, nil))
	if other == first || other.partitions[0].highest != -1 || other.life() == first.life() {
		t.Errorf("a topic that was created again is %+v", other)
	}
	if c := s.groups[groupKey{}].topics[other]; !c.progress[0].since.IsZero() {
		t.Errorf("the group begins in it with %+v", c.progress)
	}
}
