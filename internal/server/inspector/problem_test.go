package inspector

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

func TestProblem(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	read := backlog.Observation{Latest: backlog.Reading{At: now.Add(-time.Minute)}}
	failing := func(err error) backlog.Observation {
		return backlog.Observation{Err: fmt.Errorf("read it: %w", err), FailingSince: now}
	}
	type shown struct {
		Reason, Message string
		Since, Until    time.Time
		Advised         bool
	}
	bridged := failing(backlog.ErrUnavailable)
	bridged.Latest = read.Latest
	for _, tc := range []struct {
		name    string
		account server.TriggerStatus
		want    shown
	}{
		{"a typo", server.TriggerStatus{Rejected: true, RejectedSince: now, Code: codes.InvalidArgument.String(), Err: errors.New("tagret")}, shown{"invalid", "tagret", now, time.Time{}, true}},
		{"another's connection", server.TriggerStatus{Rejected: true, RejectedSince: now, Code: codes.PermissionDenied.String(), Err: errors.New("no")}, shown{"not_available", "no", now, time.Time{}, true}},
		{"missing", server.TriggerStatus{Observation: read, Err: decision.ErrMissing}, shown{"missing", "queue does not exist", time.Time{}, time.Time{}, true}},
		{"warming up", server.TriggerStatus{Observation: read, Err: decision.ErrWarmingUp}, shown{"warming_up", "warming up after a start", time.Time{}, time.Time{}, true}},
		{"not read yet", server.TriggerStatus{Err: decision.ErrUnknown}, shown{"unknown", "backlog unknown", time.Time{}, time.Time{}, false}},
		{"unavailable", server.TriggerStatus{Observation: failing(backlog.ErrUnavailable), Err: decision.ErrUnknown}, shown{"unavailable", "read it: unavailable", now, time.Time{}, true}},
		{"denied", server.TriggerStatus{Observation: failing(backlog.ErrDenied), Err: decision.ErrUnknown}, shown{"denied", "read it: denied", now, time.Time{}, true}},
		{"mismatch", server.TriggerStatus{Observation: failing(backlog.ErrMismatch), Err: decision.ErrUnknown}, shown{"mismatch", "read it: mismatch", now, time.Time{}, true}},
		{"partial", server.TriggerStatus{Observation: failing(backlog.ErrPartial), Err: decision.ErrUnknown}, shown{"partial", "read it: partial", now, time.Time{}, true}},
		{
			"bridged",
			server.TriggerStatus{Observation: bridged, Trigger: trigger.Trigger{Policy: decision.Spec{MaxStaleness: 90 * time.Second}}},
			shown{"unavailable", "read it: unavailable", now, now.Add(30 * time.Second), true},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := problem(tc.account)
			got := shown{Reason: p.GetReason(), Message: p.GetMessage(), Advised: p.GetAdvice() != ""}
			if p.GetSince() != nil {
				got.Since = p.GetSince().AsTime().Local()
			}
			if p.GetReadingUsedUntil() != nil {
				got.Until = p.GetReadingUsedUntil().AsTime().Local()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
	if p := problem(server.TriggerStatus{Observation: read}); p != nil {
		t.Errorf("a trigger with nothing wrong has %v", p)
	}
}
