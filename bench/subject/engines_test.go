package subject

import (
	"context"
	"errors"
	"testing"
)

// TestObjectsOfAServer: each object names its queue by the layout, with its parameters, and no list of Redis.
func TestObjectsOfAServer(t *testing.T) {
	t.Parallel()
	q := &queueServer{layout: "topic", queues: []string{"a", "b"}, parameters: func(i int) map[string]string {
		return map[string]string{"consumerGroup": "group-" + []string{"a", "b"}[i]}
	}}
	all := q.objects()
	got := all.refs[1].GetScalerMetadata()
	if _, list := got["list"]; list || got["topic"] != "b" || got["consumerGroup"] != "group-b" || got["connection"] != "shared" {
		t.Errorf("the metadata is %v", got)
	}
	if queries := q.queries(); queries[0].Queue != "a" || queries[0].Params.Get("consumerGroup") != "group-a" {
		t.Errorf("the query is %v", queries[0])
	}
}

// TestMissingServer: an engine whose server cannot be started is an error, and leaves nothing behind.
func TestMissingServer(t *testing.T) {
	t.Parallel()
	want := errors.New("not installed")
	ended := false
	_, err := measureEngine(t.Context(), Programs{}, func(s *stage, _ context.Context) (*queueServer, error) {
		s.endings = append(s.endings, func() error { ended = true; return nil })
		return nil, want
	})
	if !errors.Is(err, want) || !ended {
		t.Errorf("the error is %v, ended: %t", err, ended)
	}
}
