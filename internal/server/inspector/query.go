package inspector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// PageSize is the number of rows of one page of a View.
const PageSize = 100

// A Query selects rows. A zero field selects all.
type Query struct {
	Namespace, Connection, Reason string
	// Text is a part of a name: of the namespace, ScaledObject, trigger, queue or policy. Upper
	// and lower case are alike.
	Text string
	// State is that of the rows; nil selects all.
	State *State
	Sort  Sort
	// Reverse turns the order around.
	Reverse bool
	// Page is the page, from 1.
	Page int
}

// A Sort is the order of rows. Rows that are equal by it are ordered by name.
type Sort string

// The orders. Numbers begin with the largest, and what is unknown comes last.
const (
	ByState   Sort = ""
	ByName    Sort = "name"
	ByWants   Sort = "wants"
	ByBacklog Sort = "backlog"
	ByOldest  Sort = "oldest"
	ByRead    Sort = "read"
)

// A View is one page of rows.
type View struct {
	// At is when the triggers were scanned.
	At   time.Time
	Rows []Row
	// Histories are those of the rows, in the same order.
	Histories [][]Sample
	// Found is how many triggers the query selects, Page the page, and Pages how many there are,
	// at least one.
	Found, Page, Pages int
	// Total is the number of all triggers, and Outages are those of connections.
	Total   int
	Outages []Outage
	// States is the number of triggers in each state that the rest of the query selects.
	States [NumberOfStates]int
	// Namespaces, Connections and Reasons are those of all triggers, ordered by name.
	Namespaces, Connections, Reasons []string
}

// Triggers returns the rows that a query selects, as of the last whole second.
func (i *Inspector) Triggers(q *Query) View {
	h := i.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh(time.Now())
	v := View{At: h.scanned, Total: len(h.entries), Outages: h.outages}
	found := h.find(q, &v)
	namespaces, connections, reasons := set{}, set{}, set{}
	for _, e := range h.entries {
		namespaces.add(e.row.Namespace)
		connections.add(e.row.Connection)
		reasons.add(e.row.Reason)
	}
	v.Namespaces, v.Connections, v.Reasons = namespaces.sorted(), connections.sorted(), reasons.sorted()
	v.Found = len(found)
	v.Pages = pagesOf(len(found))
	v.Page = min(max(q.Page, 1), v.Pages)
	for _, e := range found[min(len(found), (v.Page-1)*PageSize):min(len(found), v.Page*PageSize)] {
		v.Rows = append(v.Rows, e.row)
		v.Histories = append(v.Histories, e.history.samples())
	}
	return v
}

// A set holds texts.
type set map[string]struct{}

func (s set) add(text string) {
	if _, known := s[text]; !known && text != "" {
		s[text] = struct{}{}
	}
}

func (s set) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// find returns the entries that a query selects, in its order, and counts the states. mu is held.
func (h *hub) find(q *Query, v *View) (found []*entry) {
	text := strings.ToLower(q.Text)
	for _, e := range h.entries {
		r := &e.row
		if !q.selects(r, text) {
			continue
		}
		v.States[r.State]++
		if q.State == nil || *q.State == r.State {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int {
		order := q.Sort.compare(&a.row, &b.row)
		if q.Reverse {
			order = -order
		}
		return cmp.Or(order, compareNames(&a.row, &b.row))
	})
	return found
}

// selects reports whether a query selects a row, apart from its state. text is in lower case.
func (q *Query) selects(r *Row, text string) bool {
	if q.Namespace != "" && q.Namespace != r.Namespace || q.Connection != "" && q.Connection != r.Connection || q.Reason != "" && q.Reason != r.Reason {
		return false
	}
	if text == "" {
		return true
	}
	return slices.ContainsFunc([]string{r.Namespace + "/" + r.ScaledObject, r.Trigger, r.Queue, r.Policy}, func(name string) bool {
		return strings.Contains(strings.ToLower(name), text)
	})
}

func compareNames(a, b *Row) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ScaledObject, b.ScaledObject), cmp.Compare(a.Trigger, b.Trigger), cmp.Compare(a.Key, b.Key))
}

// compare compares two rows.
func (s Sort) compare(a, b *Row) int {
	switch s {
	case ByName:
		return compareNames(a, b)
	case ByWants:
		return cmp.Compare(b.rank(b.Wants), a.rank(a.Wants))
	case ByBacklog:
		return cmp.Compare(b.Backlog(), a.Backlog())
	case ByOldest:
		return compareTimes(a.OldestSince, b.OldestSince)
	case ByRead:
		return compareTimes(a.ReadAt, b.ReadAt)
	default:
		return cmp.Or(cmp.Compare(a.State, b.State), cmp.Compare(b.rank(b.Wants), a.rank(a.Wants)))
	}
}

// rank is a number of a decision; -1, and so the least, without one.
func (r *Row) rank(n int64) int64 {
	if !r.Decided {
		return -1
	}
	return n
}

// Backlog returns what waits, is due and is in flight, or the measured number; -1 if that is
// unknown.
func (r *Row) Backlog() float64 {
	switch {
	case !r.Known:
		return -1
	case r.Measured.Known:
		return r.Measured.Float()
	default:
		return float64(r.Ready + r.Due + r.InFlight.N)
	}
}

// compareTimes orders the earlier time first and an unknown one last.
func compareTimes(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// News is what changed after a scan of the triggers.
type News struct {
	// Changed are the keys of the rows that changed.
	Changed []uint64
	// Gone reports whether a trigger is no longer there.
	Gone bool
	// Total is the number of all triggers, and Outages are those of connections.
	Total   int
	Outages []Outage
	// At is when the triggers were scanned, and Scan the number of the scan.
	At   time.Time
	Scan uint64
}

// Changes returns what changed of the triggers with these keys after the scan that since names, or
// all of them for zero.
func (i *Inspector) Changes(keys []uint64, since uint64) News {
	h := i.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh(time.Now())
	n := News{Total: len(h.entries), Outages: h.outages, At: h.scanned, Scan: h.scans}
	for _, key := range keys {
		e := h.entries[key]
		switch {
		case e == nil:
			n.Gone = true
		case e.changed > since:
			n.Changed = append(n.Changed, key)
		}
	}
	return n
}

// Row returns a row of the last scan with its history; false if its trigger is gone.
func (i *Inspector) Row(key uint64) (row Row, history []Sample, found bool) {
	i.hub.mu.Lock()
	defer i.hub.mu.Unlock()
	e := i.hub.entries[key]
	if e == nil {
		return Row{}, nil, false
	}
	return e.row, e.history.samples(), true
}

// Keys returns the keys of the rows of one page that a query selects.
func (i *Inspector) Keys(q *Query) []uint64 {
	h := i.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refresh(time.Now())
	var v View
	found := h.find(q, &v)
	page := min(max(q.Page, 1), pagesOf(len(found)))
	var keys []uint64
	for _, e := range found[min(len(found), (page-1)*PageSize):min(len(found), page*PageSize)] {
		keys = append(keys, e.row.Key)
	}
	return keys
}

// pagesOf returns the number of pages of so many rows, at least one.
func pagesOf(rows int) int { return max(1, (rows+PageSize-1)/PageSize) }

// An Outage is a connection that cannot be read, and what that means for its triggers.
type Outage struct {
	Connection string
	// Bridged is the number of triggers whose last reading is used, and Until when the first of
	// these readings is no longer used. Failing is the number of those about which KEDA gets an
	// error.
	Bridged, Failing int
	Until            time.Time
	// Reason and Why are those of one of them.
	Reason, Why string
}

// unavailable is the reason of a problem of a whole connection.
func unavailable() string { return backlog.Reason(backlog.ErrUnavailable) }

// addOutage counts a row that cannot be read because its connection cannot. mu is held.
func (h *hub) addOutage(r *Row) {
	if r.Reason != unavailable() || r.Connection == "" {
		return
	}
	at := slices.IndexFunc(h.outages, func(o Outage) bool { return o.Connection == r.Connection })
	if at < 0 {
		at = len(h.outages)
		h.outages = append(h.outages, Outage{Connection: r.Connection, Reason: r.Reason, Why: r.Why})
	}
	o := &h.outages[at]
	if r.State != Bridged {
		o.Failing++
		return
	}
	o.Bridged++
	if o.Until.IsZero() || r.UsedUntil.Before(o.Until) {
		o.Until = r.UsedUntil
	}
}

// Listen counts a client that follows changes until leave is called. The error is a gRPC status,
// ResourceExhausted, if MaxListeners clients do.
func (i *Inspector) Listen() (leave func(), err error) { return i.hub.join() }

// ConnectionStates returns the state of all connections, ordered by name.
func (i *Inspector) ConnectionStates() []backlog.ConnectionState { return i.connections.Connections() }

// Fault returns the faults of the configuration file; nil if it is in force.
func (i *Inspector) Fault() error { return i.fault() }

// Policies returns all policies, ordered by name, and whether any are watched.
func (i *Inspector) Policies() (all []policies.Explanation, watched bool) {
	if i.policies == nil {
		return nil, false
	}
	keys := i.policies.Keys()
	slices.SortFunc(keys, func(a, b policies.Key) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, key := range keys {
		if x, found := i.policies.Explain(key); found {
			all = append(all, x)
		}
	}
	return all, true
}

// UntilNext returns the time until the next scan for those that listen.
func (i *Inspector) UntilNext() time.Duration {
	now := time.Now()
	return next(now).Sub(now)
}

// Missing returns what an error of Explain or ExplainPolicy says, on one line, and whether it is
// that there is no such thing.
func (i *Inspector) Missing(err error) (text string, missing bool) {
	s := status.Convert(err)
	return backlog.Line(s.Message()), s.Code() == codes.NotFound || s.Code() == codes.FailedPrecondition
}
