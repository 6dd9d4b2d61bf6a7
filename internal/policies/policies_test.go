package policies_test

import (
	"errors"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
)

func TestUnread(t *testing.T) {
	t.Parallel()
	failed, now := errors.New("refused"), time.Now()
	for name, test := range map[string]struct {
		err    error
		signal policy.SignalState
		want   bool
	}{
		"not read yet":                 {policy.ErrUnknown, policy.SignalState{State: policy.Holding}, true},
		"the first read failed":        {policy.ErrUnknown, policy.SignalState{State: policy.Holding, Err: failed}, false},
		"it was read once":             {policy.ErrUnknown, policy.SignalState{State: policy.Holding, At: now, Err: failed}, false},
		"left out, and not read yet":   {nil, policy.SignalState{State: policy.Ignored}, false},
		"unused, and not read yet":     {nil, policy.SignalState{State: policy.Holding}, false},
		"known, next to another error": {policy.ErrFormula, policy.SignalState{State: policy.Known, At: now}, false},
	} {
		outcome := policies.Outcome{Err: test.err, Decision: policy.Decision{Signals: []policy.SignalState{test.signal}}}
		if got := outcome.Unread(); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
}
