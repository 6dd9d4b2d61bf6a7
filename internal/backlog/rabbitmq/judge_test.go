package rabbitmq

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/management"
)

// TestJudge has what each answer means, at a time and with a listing. Times are relative to the answer.
func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	leader := management.Queue{Kind: "quorum", State: "running", Available: true, Counted: true}
	classic := management.Queue{Kind: management.TypeClassic, State: "running", Available: true, Counted: true}
	counted := func(l management.Queue, total, unacked int64) management.Queue {
		l.Total, l.Unacked = total, unacked
		return l
	}
	managed := rules{managed: true, interval: 5 * time.Second, tick: 5 * time.Second, countsConsumers: true}
	type before struct {
		ago   time.Duration
		ready int64
	}
	for name, c := range map[string]struct {
		rules            rules
		before           []before
		ready, consumers int64
		took             time.Duration
		missing          bool
		listing          time.Duration // how long ago it began; negative is none
		one              management.Queue
		unlisted         bool
		failure          error

		wantErr           error
		ready1, inFlight  int64
		quality           backlog.Quality
		unknown           bool // in flight
		pending, isEmpty0 bool
	}{
		"missing":                          {rules: managed, missing: true, one: classic},
		"classic, empty":                   {rules: managed, one: classic},
		"classic, slow":                    {rules: managed, one: classic, took: time.Second},
		"classic, in flight":               {rules: managed, one: counted(classic, 3, 3), inFlight: 3},
		"classic, just taken":              {rules: managed, one: classic, listing: time.Second, before: []before{{500 * time.Millisecond, 4}}, inFlight: 4, quality: backlog.UpperBound, pending: true},
		"classic, taken before":            {rules: managed, one: classic, listing: time.Second, before: []before{{1500 * time.Millisecond, 4}}},
		"classic, some taken":              {rules: managed, one: counted(classic, 9, 1), ready: 5, ready1: 5, inFlight: 4, quality: backlog.UpperBound},
		"quorum, not proven yet":           {rules: managed, one: leader, wantErr: backlog.ErrUnavailable, pending: true},
		"quorum, proven":                   {rules: managed, one: leader, before: []before{{3 * time.Second, 0}}, listing: time.Second},
		"quorum, listed too early":         {rules: managed, one: leader, before: []before{{3 * time.Second, 0}}, listing: 4 * time.Second, wantErr: backlog.ErrUnavailable, pending: true},
		"quorum, not long enough":          {rules: managed, one: leader, before: []before{{time.Second, 0}}, listing: 500 * time.Millisecond, wantErr: backlog.ErrUnavailable, pending: true},
		"quorum, too slow to be believed":  {rules: managed, one: leader, before: []before{{3 * time.Second, 0}}, listing: time.Second, took: leaderTimeout, wantErr: backlog.ErrUnavailable, pending: true},
		"quorum, no leader":                {rules: managed, one: management.Queue{Kind: "quorum", State: "down", Counted: true}, before: []before{{3 * time.Second, 0}}, listing: time.Second, wantErr: backlog.ErrUnavailable, pending: true},
		"quorum, with consumers":           {rules: managed, one: leader, consumers: 1, took: time.Second},
		"quorum, taken within a tick":      {rules: managed, one: leader, consumers: 1, listing: time.Second, before: []before{{6 * time.Second, 7}}, inFlight: 7, quality: backlog.UpperBound, pending: true},
		"quorum, ready":                    {rules: managed, one: leader, ready: 2, ready1: 2},
		"stream":                           {rules: managed, one: management.Queue{Kind: management.TypeStream}, ready: 10, wantErr: backlog.ErrMismatch},
		"not listed":                       {rules: managed, unlisted: true, ready: 1, wantErr: backlog.ErrPartial, pending: true},
		"no listing":                       {rules: managed, listing: -1, wantErr: backlog.ErrUnavailable, pending: true},
		"no listing, denied":               {rules: managed, listing: -1, failure: backlog.ErrDenied, wantErr: backlog.ErrDenied},
		"not counted, ready":               {rules: managed, one: management.Queue{Kind: management.TypeClassic}, ready: 1, ready1: 1, unknown: true, quality: backlog.LowerBound},
		"not counted, empty":               {rules: managed, one: management.Queue{Kind: management.TypeClassic}, wantErr: backlog.ErrPartial, pending: true},
		"old listing, ready":               {rules: managed, one: classic, ready: 1, ready1: 1, listing: time.Minute, unknown: true, quality: backlog.UpperBound},
		"old listing, empty":               {rules: managed, one: classic, listing: time.Minute, wantErr: backlog.ErrUnavailable},
		"old listing, taken since":         {rules: managed, one: classic, listing: time.Minute, before: []before{{50 * time.Second, 3}}, inFlight: 3, unknown: true, quality: backlog.UpperBound},
		"unmanaged, ready":                 {ready: 3, ready1: 3, unknown: true, quality: backlog.LowerBound},
		"unmanaged, just taken":            {rules: rules{hold: time.Minute}, consumers: 1, before: []before{{time.Second, 3}}, inFlight: 1, unknown: true, quality: backlog.LowerBound},
		"unmanaged, taken long ago":        {rules: rules{hold: time.Minute}, consumers: 1, before: []before{{2 * time.Minute, 3}}, unknown: true, quality: backlog.LowerBound},
		"unmanaged, empty":                 {before: []before{{5 * time.Second, 0}}, wantErr: backlog.ErrUnavailable, pending: true},
		"unmanaged, empty for long":        {before: []before{{11 * time.Second, 0}}, unknown: true, quality: backlog.LowerBound},
		"unmanaged, empty for long, slow":  {before: []before{{11 * time.Second, 0}}, took: leaderTimeout, wantErr: backlog.ErrUnavailable, pending: true},
		"unmanaged, empty, work in midway": {before: []before{{11 * time.Second, 0}, {2 * time.Second, 1}}, wantErr: backlog.ErrUnavailable, pending: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &history{}
			for _, b := range c.before {
				h.note(answer{at: now.Add(-b.ago), ready: b.ready})
			}
			a := answer{at: now, ready: c.ready, consumers: c.consumers, took: c.took, missing: c.missing}
			h.note(a)
			var l *management.Listing
			if c.listing >= 0 {
				l = &management.Listing{Began: now.Add(-c.listing), Queues: map[string]management.Queue{"q": c.one}}
				if c.unlisted {
					l.Queues = nil
				}
			}
			v := c.rules.judge("q", a, h, l, c.failure)
			if c.wantErr != nil {
				if !errors.Is(v.err, c.wantErr) || v.pending != c.pending {
					t.Errorf("got %+v, want %v, pending %t", v, c.wantErr, c.pending)
				}
				return
			}
			r := v.reading
			if v.err != nil || v.pending != c.pending || r.Missing != c.missing || r.Ready != c.ready1 || r.Quality != c.quality ||
				r.InFlight != (backlog.Count{N: c.inFlight, Known: !c.unknown}) {
				t.Errorf("got %+v", v)
			}
		})
	}
}

// TestUnprovenIsAnError: a queue without a leader is an error of the server in the end.
func TestUnprovenIsAnError(t *testing.T) {
	t.Parallel()
	r, h, now := rules{managed: true, interval: time.Second, tick: time.Second}, &history{}, time.Now()
	for i := range 40 {
		a := answer{at: now.Add(time.Duration(i) * time.Second), took: leaderTimeout}
		h.note(a)
		v := r.judge("q", a, h, &management.Listing{Began: a.at, Queues: map[string]management.Queue{"q": {Kind: "quorum", State: "running", Available: true, Counted: true}}}, nil)
		if !errors.Is(v.err, backlog.ErrUnavailable) || v.pending != (i < 15) {
			t.Fatalf("after %d s: %+v", i, v)
		}
	}
}

// TestPeaks: the memory of a queue is bounded, and no peak is forgotten before its time.
func TestPeaks(t *testing.T) {
	t.Parallel()
	h, now := &history{}, time.Now()
	for i := range 1000 {
		h.note(answer{at: now.Add(time.Duration(i) * time.Millisecond), ready: int64(2000 - i)})
	}
	if len(h.peaks) > maxPeaks {
		t.Errorf("%d peaks are kept", len(h.peaks))
	}
	for _, after := range []int{0, 500, 990, 998} {
		if got, least := h.peakSince(now.Add(time.Duration(after)*time.Millisecond)), int64(2000-after-1); got < least {
			t.Errorf("after %d ms the peak is %d, want at least %d", after, got, least)
		}
	}
	if got := h.peakSince(now.Add(time.Second)); got != 0 {
		t.Errorf("after all the peak is %d", got)
	}
}

// TestMissesRest: a queue that does not exist is asked for more and more seldom.
func TestMissesRest(t *testing.T) {
	t.Parallel()
	h := &history{}
	var rests []time.Duration
	for range 20 {
		h.note(answer{at: time.Now(), missing: true})
		rests = append(rests, time.Until(h.rest))
	}
	if rests[0] > 0 || rests[1] > firstRest || rests[19] < longestRest-time.Second || rests[19] > longestRest {
		t.Errorf("the rests are %v", rests)
	}
}

// TestPatternsAreBounded: neither many queues nor a costly pattern takes more than its share.
func TestPatternsAreBounded(t *testing.T) {
	t.Parallel()
	many := map[string]management.Queue{}
	for i := range maxMatching + 1 {
		many[fmt.Sprintf("jobs-%d", i)] = management.Queue{Kind: management.TypeClassic}
	}
	long := map[string]management.Queue{}
	for i := range 2000 {
		long[strings.Repeat("a", 240)+strconv.Itoa(i)] = management.Queue{Kind: management.TypeClassic}
	}
	var costly []string
	for i := range backlog.MaxPatterns {
		costly = append(costly, strings.Repeat("*a", 100)+fmt.Sprint("b", i))
	}
	for name, c := range map[string]struct {
		queue  string
		queues map[string]management.Queue
		want   error
	}{
		"few":    {"jobs-1?", many, nil},
		"many":   {"jobs-*", many, backlog.ErrExhausted},
		"costly": {strings.Join(costly, ","), long, backlog.ErrExhausted},
	} {
		p, err := newPlan(backlog.Query{Layout: layoutQueue, Queue: c.queue, Namespace: "shop"}, quota.New())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		list := management.Listing{Began: began, Queues: c.queues, Names: slices.Sorted(maps.Keys(c.queues)), Revision: 1}
		_, err = p.refresh(&list, nil, began)
		if !errors.Is(err, c.want) || c.want == nil && len(p.queues) != 10 {
			t.Errorf("%s: %d queues, %v", name, len(p.queues), err)
		}
		// It is not tried again at once.
		if _, again := p.refresh(&list, nil, began.Add(time.Second)); !errors.Is(again, c.want) {
			t.Errorf("%s: then %v", name, again)
		}
	}
}
