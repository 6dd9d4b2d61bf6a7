package subject

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestDistance: answers through a distance come late, and what depends on an answer is another round trip.
func TestDistance(t *testing.T) {
	t.Parallel()
	s := &stage{}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	far, err := s.distance()
	if err != nil {
		t.Fatal(err)
	}
	far.to(echo(t))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", far.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	trips, err := far.during(func() error {
		for range 3 {
			// Its parts belong together, however they arrive.
			if err := ask(conn, "one", "two"); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || trips < 3 {
		t.Errorf("3 questions take %d round trips (%v), want at least 3", trips, err)
	}
	if took := time.Since(began); took < 3*roundTrip || trips > int(took/roundTrip) {
		t.Errorf("3 questions take %s and %d round trips of %s", took, trips, roundTrip)
	}
	if trips, err := far.during(func() error { return nil }); trips != 0 || err != nil {
		t.Errorf("nothing takes %d round trips, %v", trips, err)
	}
}

// ask sends the parts of a question and waits for all of them to come back.
func ask(conn io.ReadWriter, parts ...string) error {
	for _, part := range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			return err
		}
	}
	want := strings.Join(parts, "")
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != want {
		return errors.New("another answer: " + string(got))
	}
	return nil
}

// echo starts a server that sends back what it receives, and returns its address.
func echo(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

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
