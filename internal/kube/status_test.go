package kube

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// TestStatusPatch: a patch has what has changed, and removes what is no longer set. Lists are whole.
func TestStatusPatch(t *testing.T) {
	t.Parallel()
	before := &v1alpha1.AutoscalerPolicyStatus{
		Reason: "office", Busy: new(int32(2)), Signals: []v1alpha1.SignalStatus{{Name: "a", Value: "5"}, {Name: "b", Value: "6"}},
		Windows: &v1alpha1.WindowsStatus{Active: []string{"office"}, Next: &v1alpha1.WindowEdge{Name: "night"}},
	}
	after := before.DeepCopy()
	after.Reason, after.Busy, after.Windows.Next, after.Signals[1].Value = "need", nil, nil, "7"
	want := `{"status":{"busy":null,"reason":"need","signals":[{"name":"a","state":"","value":"5"},{"name":"b","state":"","value":"7"}],"windows":{"next":null}}}`
	if got, err := statusPatch(before, after); err != nil || string(got) != want {
		t.Errorf("%s, error %v; want %s", got, err, want)
	}
	if got, err := statusPatch(before, before); err != nil || string(got) != "{}" {
		t.Errorf("without a change: %s, error %v", got, err)
	}
}
