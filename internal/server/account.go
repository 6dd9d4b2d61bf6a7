package server

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// An Account is all that the server knows of one trigger.
type Account struct {
	// ID tells this trigger from all others while the server runs.
	ID                      string
	Namespace, ScaledObject string
	// Metadata is what KEDA sent, but for values that may be secrets.
	Metadata map[string]string
	// Trigger is the parsed trigger; zero if it is Refused.
	Trigger trigger.Trigger
	Refused bool
	// Seen is what is known of the queue.
	Seen backlog.Observation
	// Decision is what would be told now. If Err is not nil that is told in its place,
	// with the gRPC code Code.
	Decision policy.Decision
	Err      error
	Code     string
	// RefusedSince is since when the trigger is refused.
	RefusedSince time.Time
	// Asked is when KEDA asked last, and AskedBy the method; empty for a trigger that
	// only the configuration watches.
	Asked   time.Time
	AskedBy string
	// Streams is how many streams hold the trigger.
	Streams int
	// Told is the last answer of each method, the latest first.
	Told []Told
}

// A Told is what a method was last answered.
type Told struct {
	Method string
	// At is when it was told last, Since is when the answer became this one.
	At, Since time.Time
	// Value, Target and Active are nil where the method does not tell them.
	Value, Target *float64
	Active        *bool
	// Code and Error are those of an error; else empty.
	Code, Error string
}

// Accounts returns what is known of the triggers that wanted chooses by the
// namespace and name of their ScaledObject: the ones that KEDA asks about, the
// ones that are refused, and the watches of the configuration. They are ordered
// by namespace, ScaledObject and trigger, the one that was asked for last first.
func (s *Server) Accounts(now time.Time, wanted func(namespace, scaledObject string) bool) []Account {
	var accounts []Account
	s.EachAccount(now, wanted, func(_ uint64, a *Account, complete func()) bool {
		complete()
		accounts = append(accounts, *a)
		return true
	})
	slices.SortFunc(accounts, func(a, b Account) int {
		return cmp.Or(
			cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.ScaledObject, b.ScaledObject),
			cmp.Compare(a.Trigger.MetricName, b.Trigger.MetricName),
			b.Asked.Compare(a.Asked),
			cmp.Compare(a.ID, b.ID),
		)
	})
	return accounts
}

// EachAccount calls yield for the same triggers in any order, until it returns false. The
// account is valid during the call only, and has neither ID, Metadata nor Told before complete
// is called: most of its cost is in these, and whoever looks again and again needs them of
// the few that have changed. key is the same for the same trigger while the server runs.
// Nothing is locked meanwhile, so yield may wait.
func (s *Server) EachAccount(
	now time.Time, wanted func(namespace, scaledObject string) bool, yield func(key uint64, a *Account, complete func()) bool,
) {
	// An account must not wait for an engine, so it asks with no time to wait.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var a Account
	var live *liveTrigger
	complete := func() {
		a.ID = id(s.triggers.hash(live.ref))
		a.Metadata = shown(s.epoch.Load().catalog, live.ref.GetScalerMetadata())
		a.Told = live.calls.all()
	}
	for _, live = range s.triggers.wanted(now) {
		if !wanted(live.ref.GetNamespace(), live.ref.GetName()) {
			continue
		}
		s.account(ctx, live, now, &a)
		if !yield(live.key, &a, complete) {
			return
		}
	}
	for key, t := range s.refused.wanted(now) {
		if !wanted(t.namespace, t.scaledObject) {
			continue
		}
		a = t.account(key)
		if !yield(key, &a, func() {}) {
			return
		}
	}
}

// account fills in what changes of a live trigger, from memory.
func (s *Server) account(ctx context.Context, live *liveTrigger, now time.Time, a *Account) {
	*a = Account{
		Namespace: live.ref.GetNamespace(), ScaledObject: live.ref.GetName(),
		Trigger: live.trigger,
		Streams: int(live.streams.Load()),
	}
	if by := method(live.askedBy.Load()); by != methodNone {
		a.Asked, a.AskedBy = time.Unix(0, live.asked.Load()), by.String()
	}
	seen, err := s.observer.Observe(ctx, live.interest())
	if err != nil && !errors.Is(err, context.Canceled) {
		seen.Err = err
	}
	a.Seen = seen
	if a.Decision, a.Err = live.decide(&seen, now); a.Err != nil {
		a.Err = live.explain(live.hinted(a.Err, seen.Latest.Hint))
		a.Code = status.Code(toStatus(a.Err)).String()
	}
}

// account tells of a refused trigger.
func (t refusedTrigger) account(key uint64) Account {
	s := status.Convert(t.err)
	return Account{
		ID:        id(key),
		Namespace: t.namespace, ScaledObject: t.scaledObject,
		Metadata: t.metadata,
		Refused:  true, RefusedSince: t.since,
		Err: errors.New(s.Message()), Code: s.Code().String(),
		Asked: t.asked, AskedBy: t.by.String(),
	}
}

func id(hash uint64) string { return strconv.FormatUint(hash, 36) }

// all returns what was told, the latest first.
func (c *conversation) all() []Told {
	var all []Told
	for by := methodNone + 1; by < methods; by++ {
		last := c[by].last.Load()
		if last == nil {
			continue
		}
		t := Told{Method: by.String(), At: time.Unix(0, c[by].at.Load()), Since: last.since}
		switch {
		case last.text != "":
			t.Code, t.Error = last.code.String(), last.text
		case by == methodGetMetrics:
			t.Value = &last.value
		case by == methodIsActive, by == methodStreamIsActive:
			t.Active = &last.active
		default:
			t.Target = &last.target
		}
		all = append(all, t)
	}
	slices.SortStableFunc(all, func(a, b Told) int { return b.At.Compare(a.At) })
	return all
}
