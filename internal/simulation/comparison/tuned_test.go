package comparison_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/comparison"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/tuning"
)

// tunedPolicy asks for one replica for each message.
const tunedPolicy = `apiVersion: backlog-scaler.github.io/v1alpha1
kind: AutoscalerPolicy
metadata: {name: mails}
spec:
  via: KEDA
  scaleTargetRef: {name: mails}
  maxReplicas: 20 # as many as the database allows
  signals: [{name: backlog, connection: main, trigger: {list: mails, inFlightList: held, target: "1"}}]
  steps: {down: {percent: 10, period: 1m, hold: 5m}}
---
kind: ScaledObject
metadata: {name: mails}
spec:
  cooldownPeriod: 60
  maxReplicaCount: 20
  triggers: [{type: external-push, metadata: {policy: mails}}]
`

// newTuned returns the result of a small search.
func newTuned(t *testing.T, wait time.Duration) *comparison.Tuned {
	t.Helper()
	load := &trace.Trace{Header: trace.Header{End: 20 * time.Minute, Quality: trace.Exact, Source: "CSV"}}
	for at := time.Minute; at < load.End; at += 7 * time.Minute {
		load.Arrivals = append(load.Arrivals, trace.Arrival{At: at, Over: time.Minute, Count: 100})
	}
	reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	found, err := reader.Read("today", []byte(tunedPolicy))
	if err != nil {
		t.Fatal(err)
	}
	tuned := &comparison.Tuned{Digest: "sha256:0123456789ab", Notes: []string{"a note\x07"}, Search: &tuning.Search{
		Trace: load, Today: &found[0], Goal: tuning.Goal{Percentile: 90, Wait: wait}, Points: 9, Seed: 1,
		Workers: &simulation.Workers{Service: simulation.Fixed(time.Second), Startup: simulation.Fixed(5 * time.Second), Concurrency: 1, Grace: 30 * time.Second},
		Change:  func(s *candidate.Settings) (candidate.Candidate, error) { return reader.With(&found[0], s) },
	}}
	tuned.Verdict = tuned.Search.Run()
	if tuned.Best != nil {
		text, err := tuned.Best.Candidate.YAML()
		if err != nil {
			t.Fatal(err)
		}
		tuned.YAML = string(text)
	}
	return tuned
}

// TestTunedGolden: what a search found is printed as a table and as JSON, with both objects of a policy. A goal that
// nothing keeps has no proposal.
func TestTunedGolden(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wait  time.Duration
		write func(*comparison.Tuned, io.Writer) error
	}{
		"tuned.txt":  {time.Minute, (*comparison.Tuned).Text},
		"tuned.json": {time.Minute, (*comparison.Tuned).JSON},
		"none.txt":   {time.Millisecond, (*comparison.Tuned).Text},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := tc.write(newTuned(t, tc.wait), &b); err != nil {
				t.Fatal(err)
			}
			golden(t, name, b.Bytes())
		})
	}
}
