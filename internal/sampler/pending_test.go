package sampler_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// errSearching is a queue that is still looked for.
var errSearching = fmt.Errorf("%w: still looking", backlog.ErrUnavailable)

// A sighting is what a call got, and after how long.
type sighting struct {
	backlog.Observation
	took time.Duration
}

// observing observes a queue in the background.
func (f fixture) observing(queue string) <-chan sighting {
	got := make(chan sighting, 1)
	began := time.Now()
	go func() {
		seen, err := f.sampler.Observe(f.Context(), interest(queue))
		if err != nil {
			seen = &backlog.Observation{Err: err}
		}
		got <- sighting{*seen, time.Since(began)}
	}()
	synctest.Wait()
	return got
}

// TestPendingWaitsForTheSearch: the first call about a queue that is still looked for waits
// for it, with or without a reading, and no other queue waits.
func TestPendingWaitsForTheSearch(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"not known": errSearching, "known in part": nil} {
		t.Run(name, func(t *testing.T) {
			withFixture(t, sampler.Options{}, func(f fixture) {
				f.fake.StartSearch("tenant-*", err)
				first := f.observing("tenant-*")
				if seen := f.observe("hot"); seen.Err != nil {
					t.Fatalf("another queue: %+v", seen)
				}
				hot := f.subscribe("hot")
				time.Sleep(500 * time.Millisecond)
				began := time.Now()
				f.fake.SetReady("hot", 3)
				<-hot.Changed()
				if took := time.Since(began); took > 20*time.Millisecond || hot.Observation().Latest.Ready != 3 {
					t.Errorf("another queue is known after %s: %+v", took, hot.Observation())
				}
				select {
				case seen := <-first:
					t.Fatalf("answered before the queue was found: %+v", seen)
				default:
				}
				f.fake.SetReady("tenant-*", 7)
				f.fake.EndSearch("tenant-*")
				if seen := <-first; seen.Err != nil || seen.Latest.Ready != 7 || seen.took > 600*time.Millisecond {
					t.Errorf("saw %+v", seen)
				}
			})
		})
	}
}

// TestPendingEnds: a search that takes long is an error once the first call has waited as
// long as it may, and from then on for every call at once, until the queue is found.
func TestPendingEnds(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.StartSearch("tenant-*", errSearching)
		if seen := <-f.observing("tenant-*"); !errors.Is(seen.Err, backlog.ErrUnavailable) || seen.took > 2*time.Second {
			t.Errorf("the first call saw %+v", seen)
		}
		synctest.Wait()
		if seen := <-f.observing("tenant-*"); !errors.Is(seen.Err, errSearching) || seen.took > 0 || seen.Known() {
			t.Errorf("the next call saw %+v", seen)
		}
		sub := f.subscribe("tenant-*")
		time.Sleep(time.Minute)
		if n := f.queries(10 * time.Second); n > 10 {
			t.Errorf("%d reads in 10 s of what is not found yet", n)
		}
		f.fake.SetReady("tenant-*", 7)
		began := time.Now()
		f.fake.EndSearch("tenant-*")
		<-sub.Changed()
		if took := time.Since(began); took > 20*time.Millisecond || sub.Observation().Latest.Ready != 7 {
			t.Errorf("found after %s: %+v", took, sub.Observation())
		}
	})
}

// TestPendingInPartEnds: after that time a reading is taken as it is.
func TestPendingInPartEnds(t *testing.T) {
	withFixture(t, sampler.Options{}, func(f fixture) {
		f.fake.SetReady("mail", 2)
		f.fake.StartSearch("mail", nil)
		<-f.observing("mail")
		synctest.Wait()
		if seen := f.observe("mail"); seen.Err != nil || seen.Latest.Ready != 2 {
			t.Errorf("saw %+v", seen)
		}
	})
}

// TestPendingIsNoOutage: what is still looked for is no error of the connection: nothing is
// counted, logged or waited for.
func TestPendingIsNoOutage(t *testing.T) {
	var log bytes.Buffer
	registry := prometheus.NewRegistry()
	withFixture(t, sampler.Options{Registerer: registry, Logger: slog.New(slog.NewTextHandler(&log, nil))}, func(f fixture) {
		f.fake.StartSearch("tenant-*", errSearching)
		f.subscribe("tenant-*")
		time.Sleep(time.Minute)
		synctest.Wait()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		connected := false
		for _, family := range families {
			for _, m := range family.GetMetric() {
				switch family.GetName() {
				case "backlog_scaler_connection_up":
					connected = m.GetGauge().GetValue() == 1
				case "backlog_scaler_connection_read_errors_total":
					if n := m.GetCounter().GetValue(); n != 0 {
						t.Errorf("%v errors: %s", n, m)
					}
				}
			}
		}
		if !connected {
			t.Error("the connection does not count as connected")
		}
		f.fake.EndSearch("tenant-*")
		synctest.Wait()
		if text := log.String(); strings.Contains(text, "connection unavailable") || strings.Contains(text, "recovered") {
			t.Errorf("the log says\n%s", text)
		}
	})
}
