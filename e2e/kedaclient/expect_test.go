package kedaclient_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// eventually asks as KEDA's poll does until value and activity are as wanted.
func (f *fixture) eventually(t *testing.T, s scalers.Scaler, value float64, active bool) {
	t.Helper()
	specs := s.GetMetricSpecForScaling(f.ctx)
	if len(specs) != 1 {
		t.Fatalf("got %d metric specs, want 1", len(specs))
	}
	name := specs[0].External.Metric.Name
	check(t, childprocess.Poll(f.ctx, "the scaler's answer", patience, 20*time.Millisecond, func(ctx context.Context) error {
		metrics, gotActive, err := s.GetMetricsAndActivity(ctx, name)
		if err != nil {
			return err
		}
		if len(metrics) != 1 {
			return fmt.Errorf("got %d metrics, want 1", len(metrics))
		}
		if got := metrics[0].Value.AsApproximateFloat64(); got != value || gotActive != active || metrics[0].MetricName != name {
			return fmt.Errorf("got %s=%v active=%v, want %s=%v active=%v", metrics[0].MetricName, got, gotActive, name, value, active)
		}
		return nil
	}))
}

// refused asks for a value and wants an error with every word.
func (f *fixture) refused(t *testing.T, config *scalersconfig.ScalerConfig, words ...string) {
	t.Helper()
	s := f.push(t, config)
	_, active, err := s.GetMetricsAndActivity(f.ctx, "s0-any")
	if err == nil {
		t.Fatalf("the scaler answered, active=%v; want an error", active)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not hold %q", err, word)
		}
	}
}

// check ends the test on an error.
func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
