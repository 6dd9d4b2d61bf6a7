package replicas

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// key identifies a trigger among replicas, whose own identifiers differ. A rejected trigger has no name.
func key(t *pb.Trigger) string {
	parts := []string{t.GetNamespace(), t.GetScaledObject(), t.GetName()}
	if t.GetName() == "" {
		for _, name := range slices.Sorted(maps.Keys(t.GetMetadata())) {
			parts = append(parts, name, t.GetMetadata()[name])
		}
	}
	return strings.Join(parts, "/")
}

// A merger makes one watch of those of several replicas.
type merger struct {
	// reports are the last ones, by trigger and replica.
	reports map[string]map[int]report
	// keys are those of the triggers, by replica and its own identifier.
	keys map[int]map[string]string
	// shown is what the watch has shown, by trigger.
	shown map[string]report
	// listing has the replicas for whose list of all triggers the watch waits at its beginning.
	listing map[int]bool
	began   bool
	// at is the time of the last message.
	at *timestamppb.Timestamp
}

// A report is an explanation, the replica that it is of, and the identifier that the trigger has there.
type report struct {
	replica     int
	id          string
	explanation *pb.Explanation
}

func newMerger() *merger {
	return &merger{
		reports: make(map[string]map[int]report), keys: make(map[int]map[string]string),
		shown: make(map[string]report), listing: make(map[int]bool),
	}
}

// join adds a replica.
func (m *merger) join(replica int) {
	m.keys[replica] = make(map[string]string)
	if !m.began {
		m.listing[replica] = true
	}
}

// update takes a message of a replica, and returns what it changes in the watch. It is complete when those of all
// replicas are.
func (m *merger) update(replica int, r *pb.WatchDecisionsResponse) *pb.WatchDecisionsResponse {
	touched := make([]string, 0, len(r.GetChanged()))
	for _, e := range r.GetChanged() {
		k := key(e.GetTrigger())
		if m.reports[k] == nil {
			m.reports[k] = make(map[int]report)
		}
		id := e.GetTrigger().GetId()
		e.Trigger.Id = k
		m.reports[k][replica], m.keys[replica][id] = report{replica, id, e}, k
		touched = append(touched, k)
	}
	for _, t := range r.GetRemoved() {
		k, known := m.keys[replica][t.GetId()]
		delete(m.keys[replica], t.GetId())
		// The trigger may be there again under another identifier.
		if known && m.reports[k][replica].id == t.GetId() {
			delete(m.reports[k], replica)
			touched = append(touched, k)
		}
	}
	if r.GetComplete() {
		delete(m.listing, replica)
	}
	m.at = r.GetAt()
	return m.settle(replica, touched, r.GetComplete())
}

// lose removes a replica, and returns what that changes.
func (m *merger) lose(replica int) *pb.WatchDecisionsResponse {
	var touched []string
	for _, k := range slices.Sorted(maps.Values(m.keys[replica])) {
		delete(m.reports[k], replica)
		touched = append(touched, k)
	}
	delete(m.keys, replica)
	delete(m.listing, replica)
	return m.settle(replica, touched, true)
}

// settle returns what is new about triggers after a message of a replica, which is complete or not.
func (m *merger) settle(replica int, touched []string, complete bool) *pb.WatchDecisionsResponse {
	m.began = m.began || complete && len(m.listing) == 0
	out := &pb.WatchDecisionsResponse{At: m.at, Complete: complete && m.began}
	for _, k := range touched {
		best := m.best(k)
		before, known := m.shown[k]
		if best.explanation == nil {
			if known {
				out.Removed = append(out.Removed, before.explanation.GetTrigger())
			}
			delete(m.shown, k)
			delete(m.reports, k)
			continue
		}
		// Replicas read the same queue, and one change comes from each of them.
		again := known && (best.replica != replica || best.replica != before.replica) && same(best.explanation, before.explanation)
		if known && best.explanation == before.explanation || again {
			continue
		}
		m.shown[k] = best
		out.Changed = append(out.Changed, best.explanation)
	}
	return out
}

// best returns the report of the replica that KEDA called last, and of the first one if it called none.
func (m *merger) best(k string) report {
	var best report
	for _, replica := range slices.Sorted(maps.Keys(m.reports[k])) {
		if r := m.reports[k][replica]; best.explanation == nil || later(r.explanation, best.explanation) {
			best = r
		}
	}
	return best
}

// same reports whether two explanations say the same to KEDA.
func same(a, b *pb.Explanation) bool {
	x, y := a.GetDecision(), b.GetDecision()
	return (x == nil) == (y == nil) && x.GetValue() == y.GetValue() && x.GetTarget() == y.GetTarget() && x.GetActive() == y.GetActive() &&
		slices.EqualFunc(x.GetSteps(), y.GetSteps(), func(a, b *pb.Step) bool { return a.GetReason() == b.GetReason() }) &&
		a.GetProblem().GetReason() == b.GetProblem().GetReason() && a.GetProblem().GetMessage() == b.GetProblem().GetMessage()
}
