package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/tail"
)

const (
	// refreshInterval is how often topics in use are described again: by then new partitions and
	// new topics that match a pattern are noticed.
	refreshInterval = 5 * time.Second
	// staleAfter is the age at which a description is not used any more.
	staleAfter = 3 * refreshInterval
	// unusedAfter is when a topic is forgotten that is not read any more.
	unusedAfter = 5 * time.Minute
	// hedge is how long one broker is waited for before another one is asked the same.
	hedge = 250 * time.Millisecond
	// describeAttempts is how many brokers are asked for a description at most.
	describeAttempts = 5
)

// A catalog has the topics that are in use, and the names of all where a pattern needs them. The
// goroutine that reads and the one that refreshes use it.
type catalog struct {
	client *kgo.Client

	mu sync.Mutex
	// topics are the descriptions, and used is when each was needed last.
	topics map[string]*description
	used   map[string]time.Time
	// names are all topics, sorted; namesAt is when they were listed, and namesUsed when they were
	// needed last.
	names              []string
	namesAt, namesUsed time.Time
	// absent are missing topics, with the queries that are woken when they exist, and the time of
	// the read that asked for that.
	absent map[string]map[backlog.Query]time.Time
	// cluster is the id of the cluster, and brokers are those that are up.
	cluster string
	brokers []int32
}

func newCatalog(client *kgo.Client) *catalog {
	return &catalog{client: client, topics: make(map[string]*description), used: make(map[string]time.Time), absent: make(map[string]map[backlog.Query]time.Time)}
}

// get fills in the descriptions of topics. Those that are unknown, missing or stale are asked for,
// and all of them where fresh is set. With an error those are filled in that are known.
func (c *catalog) get(ctx context.Context, topics map[string]*description, fresh bool) error {
	now := time.Now()
	var needed []string
	c.mu.Lock()
	for name := range topics {
		c.used[name] = now
		d := c.topics[name]
		if fresh || d == nil || d.missing || d.err != nil || now.Sub(d.at) > staleAfter {
			needed = append(needed, name)
		}
	}
	c.mu.Unlock()
	var err error
	if len(needed) > 0 {
		_, err = c.describe(ctx, needed)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range topics {
		d := c.topics[name]
		if err == nil || d != nil && !d.missing && d.err == nil && now.Sub(d.at) <= staleAfter {
			topics[name] = d
		}
	}
	return err
}

// list returns the names of all topics that the user may describe, sorted.
func (c *catalog) list(ctx context.Context) ([]string, error) {
	now := time.Now()
	c.mu.Lock()
	names, known := c.names, now.Sub(c.namesAt) <= staleAfter
	c.namesUsed = now
	c.mu.Unlock()
	if known {
		return names, nil
	}
	if _, err := c.describe(ctx, nil); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.names, nil
}

// await notes that a query is woken when a missing topic exists.
func (c *catalog) await(topic string, q backlog.Query, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queries := c.absent[topic]
	if queries == nil {
		queries = make(map[backlog.Query]time.Time)
		c.absent[topic] = queries
	}
	queries[q] = now
}

// appeared asks whether missing topics exist by now, and returns the queries to wake.
func (c *catalog) appeared(ctx context.Context) ([]backlog.Query, error) {
	now := time.Now()
	var names []string
	c.mu.Lock()
	for name, queries := range c.absent {
		maps.DeleteFunc(queries, func(_ backlog.Query, at time.Time) bool { return now.Sub(at) > tail.Life })
		if len(queries) == 0 {
			delete(c.absent, name)
			continue
		}
		c.used[name] = now
		names = append(names, name)
	}
	c.mu.Unlock()
	if len(names) == 0 {
		return nil, nil
	}
	_, err := c.describe(ctx, names)
	c.mu.Lock()
	defer c.mu.Unlock()
	var woken []backlog.Query
	for _, name := range names {
		if d := c.topics[name]; err != nil || d == nil || !d.missing {
			woken = slices.AppendSeq(woken, maps.Keys(c.absent[name]))
			delete(c.absent, name)
		}
	}
	return woken, err
}

// about returns the id of the cluster and the brokers that are up.
func (c *catalog) about() (cluster string, brokers []int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cluster, c.brokers
}

// refresh describes what is in use again, and reports whether there are other topics or partitions.
func (c *catalog) refresh(ctx context.Context) (changed bool, err error) {
	now := time.Now()
	c.mu.Lock()
	for name, used := range c.used {
		if now.Sub(used) > unusedAfter {
			delete(c.used, name)
			delete(c.topics, name)
		}
	}
	names := slices.Collect(maps.Keys(c.topics))
	all := !c.namesUsed.IsZero() && now.Sub(c.namesUsed) <= unusedAfter
	c.mu.Unlock()
	if all {
		names = nil
	} else if len(names) == 0 {
		return false, nil
	}
	return c.describe(ctx, names)
}

// describe asks for topics, or for all if names is nil, and reports whether that changed what was
// known.
func (c *catalog) describe(ctx context.Context, names []string) (changed bool, err error) {
	response, err := c.ask(ctx, names)
	if err != nil {
		return false, err
	}
	return c.take(response, names)
}

// ask sends the same question to several brokers, one after another until one answers.
func (c *catalog) ask(ctx context.Context, names []string) (*kmsg.MetadataResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	type reply struct {
		response *kmsg.MetadataResponse
		err      error
	}
	replies := make(chan reply, describeAttempts)
	var tasks sync.WaitGroup
	defer tasks.Wait()
	defer cancel()
	ticker := time.NewTicker(hedge)
	defer ticker.Stop()
	sent, pending := 0, 0
	// first says more than the later ones, for which the library may use what is left of a connection.
	var first error
	send := func() {
		sent, pending = sent+1, pending+1
		tasks.Go(func() {
			response, err := c.request(ctx, names)
			replies <- reply{response, err}
		})
	}
	send()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("describe topics: %w", withReason(ctx.Err()))
		case <-ticker.C:
			if sent < describeAttempts {
				send()
			}
		case r := <-replies:
			pending--
			if first == nil || errors.Is(r.err, backlog.ErrDenied) {
				first = r.err
			}
			switch {
			case r.err == nil:
				return r.response, nil
			case sent < describeAttempts && !errors.Is(r.err, backlog.ErrDenied):
				send()
			case pending == 0:
				return nil, fmt.Errorf("describe topics: %w", first)
			}
		}
	}
}

// request sends one question to the next broker.
func (c *catalog) request(ctx context.Context, names []string) (response *kmsg.MetadataResponse, err error) {
	defer backlog.Contain(&err)
	r := kmsg.NewPtrMetadataRequest()
	r.AllowAutoTopicCreation = false
	if names != nil {
		r.Topics = make([]kmsg.MetadataRequestTopic, 0, len(names))
	}
	for _, name := range names {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = new(name)
		r.Topics = append(r.Topics, topic)
	}
	answer, err := c.client.Request(ctx, r)
	if err != nil {
		return nil, withReason(err)
	}
	response, ok := answer.(*kmsg.MetadataResponse)
	if !ok {
		return nil, fmt.Errorf("%w: the broker answers with %T", backlog.ErrMismatch, answer)
	}
	if err := kerr.ErrorForCode(response.ErrorCode); err != nil {
		return nil, withReason(err)
	}
	if len(response.Brokers) == 0 {
		// It does not know itself yet, nor any topic.
		return nil, fmt.Errorf("%w: the broker knows no brokers", backlog.ErrUnavailable)
	}
	return response, nil
}

// take takes over an answer. A topic without an answer stays as it was, and becomes stale.
func (c *catalog) take(response *kmsg.MetadataResponse, names []string) (changed bool, err error) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if response.ClusterID != nil {
		changed = c.cluster != "" && c.cluster != *response.ClusterID
		c.cluster = *response.ClusterID
	}
	c.brokers = c.brokers[:0:0]
	for _, b := range response.Brokers {
		c.brokers = append(c.brokers, b.NodeID)
	}
	listed := make([]string, 0, len(response.Topics))
	for i := range response.Topics {
		topic := &response.Topics[i]
		if topic.Topic == nil {
			continue
		}
		listed = append(listed, *topic.Topic)
		changed = c.takeTopic(*topic.Topic, topic, now) || changed
	}
	slices.Sort(listed)
	silentOn := func(name string) bool {
		_, named := slices.BinarySearch(listed, name)
		return !named
	}
	for _, name := range names {
		if silentOn(name) {
			c.topics[name] = &description{at: now, err: fmt.Errorf("%w: the broker says nothing of topic %q", backlog.ErrPartial, name)}
		}
	}
	if names != nil {
		return changed, nil
	}
	changed = changed || !c.namesAt.IsZero() && !slices.Equal(listed, c.names)
	c.names, c.namesAt = listed, now
	// A list leaves out what does not exist, and what may not be described: it is asked for by name when
	// it is needed.
	for name, d := range c.topics {
		if silentOn(name) {
			stale := *d
			stale.at = time.Time{}
			c.topics[name] = &stale
		}
	}
	return changed, nil
}

// takeTopic takes over the description of a topic that is in use, and reports whether that changed
// what was known. mu is held.
func (c *catalog) takeTopic(name string, topic *kmsg.MetadataResponseTopic, now time.Time) (changed bool) {
	if _, used := c.used[name]; !used {
		return false
	}
	d, old := describeTopic(topic, now), c.topics[name]
	c.topics[name] = d
	return old != nil && !d.same(old)
}
