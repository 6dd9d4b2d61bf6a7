package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// attempts is how often a query is read: again with fresh knowledge of leaders and coordinators where
// the first attempt shows that what is known is out of date.
const attempts = 2

// A job is one query of a batch.
type job struct {
	spec   *spec
	topics []*topic
	group  *group
	result *backlog.Result
	// err is why it cannot be read, and stale reports that another attempt may succeed. whole reports
	// that err concerns the connection.
	err          error
	stale, whole bool
}

// Read implements backlog.Source. All queries share their requests. Each goes to all brokers that it
// concerns at the same time:
//
//  1. the descriptions of topics, where they are not known;
//  2. the coordinators of groups, where they are not known;
//  3. the committed offsets, of all groups that a broker stores;
//  4. the ends of all partitions that a broker leads;
//  5. where a group has something before it, or no offset, the starts.
//
// Offsets are read before ends. So work that is acknowledged in between counts once more, and none is
// overlooked.
func (s *source) Read(ctx context.Context, queries []backlog.Query, results []backlog.Result) []backlog.Result {
	base := len(results)
	results = append(results, make([]backlog.Result, len(queries))...)
	ctx, leave, err := s.gate.Enter(ctx)
	if err != nil {
		for i, q := range queries {
			results[base+i].Err = &backlog.ReadError{Query: q, Connection: s.connection, Err: err, Whole: true}
		}
		return results
	}
	defer leave()
	err = s.read(ctx, queries, results[base:])
	if err != nil {
		s.log.ErrorContext(ctx, "a read caused a panic", "err", err)
		for i, q := range queries {
			results[base+i] = backlog.Result{Err: &backlog.ReadError{Query: q, Connection: s.connection, Err: fmt.Errorf("%w: %w", backlog.ErrUnavailable, err), Whole: true}}
		}
	}
	return results
}

// read reads a batch. The error is a panic.
func (s *source) read(ctx context.Context, queries []backlog.Query, results []backlog.Result) (err error) {
	defer backlog.Contain(&err)
	now := time.Now()
	s.sweep(now)
	jobs := make([]*job, len(queries))
	for i, q := range queries {
		jobs[i] = s.newJob(q, &results[i], now)
	}
	open := jobs
	for attempt := range attempts {
		s.attempt(ctx, open, attempt > 0)
		var stale []*job
		for _, j := range open {
			if j.stale {
				stale = append(stale, j)
			}
		}
		if len(stale) == 0 || ctx.Err() != nil || attempt == attempts-1 {
			break
		}
		for _, j := range stale {
			j.err, j.stale, j.whole = nil, false, false
		}
		open = stale
	}
	for i, j := range jobs {
		if j.err != nil {
			*j.result = backlog.Result{Err: &backlog.ReadError{Query: queries[i], Connection: s.connection, Err: s.advised(j.err), Whole: j.whole}}
		}
	}
	return nil
}

// newJob returns the job of a query.
func (s *source) newJob(q backlog.Query, result *backlog.Result, now time.Time) *job {
	j := &job{spec: s.specs[q], result: result}
	if j.spec == nil {
		spec, err := newSpec(q, s.quota)
		if err != nil {
			j.err = err
			return j
		}
		j.spec, s.specs[q] = spec, spec
	}
	j.spec.used = now
	return j
}

// attempt reads jobs that have no error yet.
func (s *source) attempt(ctx context.Context, jobs []*job, fresh bool) {
	jobs = s.find(ctx, jobs, fresh)
	if len(jobs) == 0 {
		return
	}
	b := newBatch(s, jobs)
	b.coordinators(ctx, fresh)
	b.commits(ctx)
	b.ends(ctx)
	b.starts(ctx)
	now := time.Now()
	for _, j := range jobs {
		s.conclude(j, now)
	}
	if ctx.Err() == nil {
		for _, j := range jobs {
			if j.err == nil {
				s.worked.Store(true)
			}
		}
	}
}

// find finds the topics of jobs, and returns those jobs that have all of them.
func (s *source) find(ctx context.Context, jobs []*job, fresh bool) []*job {
	now := time.Now()
	about := make(map[string]*description)
	var ready []*job
	for _, j := range jobs {
		if j.err == nil {
			j.err = s.name(ctx, j, now)
		}
		if j.err != nil {
			continue
		}
		ready = append(ready, j)
		for _, names := range [][]string{j.spec.names, j.spec.matched} {
			for _, name := range names {
				about[name] = nil
			}
		}
	}
	if err := s.catalog.get(ctx, about, fresh); err != nil {
		ready = slices.DeleteFunc(ready, func(j *job) bool {
			unknown := func(name string) bool { return about[name] == nil }
			if slices.ContainsFunc(j.spec.names, unknown) || slices.ContainsFunc(j.spec.matched, unknown) {
				j.err, j.whole = err, true
			}
			return j.err != nil
		})
	}
	for name, d := range about {
		if d == nil {
			continue
		}
		t := s.topics[name]
		if t == nil || t.isAnother(d) {
			// Nothing that is known of a former topic, or of a group in it, is true of this one.
			t = &topic{name: name, id: d.id}
			s.topics[name] = t
		}
		t.used = now
		t.begin(d)
	}
	for _, j := range ready {
		s.gather(j, about, now)
	}
	return ready
}

// name finds the names of topics that match patterns.
func (s *source) name(ctx context.Context, j *job, now time.Time) error {
	if len(j.spec.patterns) > 0 {
		all, err := s.catalog.list(ctx)
		if err != nil {
			j.whole = true
			return err
		}
		j.spec.match(all)
	}
	return j.spec.reserve(now)
}

// gather puts the topics and the group into a job.
func (s *source) gather(j *job, about map[string]*description, now time.Time) {
	g := s.groups[j.spec.group]
	if g == nil {
		g = &group{name: j.spec.group.name, share: j.spec.group.share, coordinator: -1, topics: make(map[*topic]*commits)}
		s.groups[j.spec.group] = g
	}
	g.used, g.err = now, nil
	j.group, j.topics = g, j.topics[:0]
	for i, names := range [][]string{j.spec.names, j.spec.matched} {
		for _, name := range names {
			d := about[name]
			if i == 1 && (d.missing || errors.Is(d.err, backlog.ErrDenied)) {
				// A topic that matched is gone since.
				continue
			}
			t := s.topics[name]
			j.topics = append(j.topics, t)
			g.begin(t, now)
		}
	}
}

// sweep forgets, once in a minute, what is not read any more.
func (s *source) sweep(now time.Time) {
	if now.Sub(s.swept) < time.Minute {
		return
	}
	s.swept = now
	for q, spec := range s.specs {
		if now.Sub(spec.used) > spec.life() {
			spec.release()
			delete(s.specs, q)
		}
	}
	for name, t := range s.topics {
		if now.Sub(t.used) > unusedAfter {
			delete(s.topics, name)
		}
	}
	for key, g := range s.groups {
		for t, c := range g.topics {
			if now.Sub(c.used) > unusedAfter {
				delete(g.topics, t)
			}
		}
		if now.Sub(g.used) > unusedAfter {
			delete(s.groups, key)
		}
	}
}
