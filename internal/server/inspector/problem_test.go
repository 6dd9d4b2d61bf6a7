package inspector

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
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
		account server.Account
		want    shown
	}{
		{"a typo", server.Account{Refused: true, RefusedSince: now, Code: codes.InvalidArgument.String(), Err: errors.New("tagret")}, shown{"invalid", "tagret", now, time.Time{}, true}},
		{"another's connection", server.Account{Refused: true, RefusedSince: now, Code: codes.PermissionDenied.String(), Err: errors.New("no")}, shown{"not_available", "no", now, time.Time{}, true}},
		{"missing", server.Account{Seen: read, Err: policy.ErrMissing}, shown{"missing", "queue does not exist", time.Time{}, time.Time{}, true}},
		{"settling", server.Account{Seen: read, Err: policy.ErrSettling}, shown{"settling", "settling after a start", time.Time{}, time.Time{}, true}},
		{"not read yet", server.Account{Err: policy.ErrUnknown}, shown{"unknown", "backlog unknown", time.Time{}, time.Time{}, false}},
		{"unavailable", server.Account{Seen: failing(backlog.ErrUnavailable), Err: policy.ErrUnknown}, shown{"unavailable", "read it: unavailable", now, time.Time{}, true}},
		{"denied", server.Account{Seen: failing(backlog.ErrDenied), Err: policy.ErrUnknown}, shown{"denied", "read it: denied", now, time.Time{}, true}},
		{"mismatch", server.Account{Seen: failing(backlog.ErrMismatch), Err: policy.ErrUnknown}, shown{"mismatch", "read it: mismatch", now, time.Time{}, true}},
		{"partial", server.Account{Seen: failing(backlog.ErrPartial), Err: policy.ErrUnknown}, shown{"partial", "read it: partial", now, time.Time{}, true}},
		{
			"bridged",
			server.Account{Seen: bridged, Trigger: trigger.Trigger{Policy: policy.Spec{MaxStaleness: 90 * time.Second}}},
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
			if p.GetBridgedUntil() != nil {
				got.Until = p.GetBridgedUntil().AsTime().Local()
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
	if p := problem(server.Account{Seen: read}); p != nil {
		t.Errorf("a trigger with nothing wrong has %v", p)
	}
}
