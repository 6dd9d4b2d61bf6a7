package app_test

import (
	"context"
	"strings"
	"testing"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestFirstContact: what to change where a connection does not fit the server is in the
// error that KEDA gets, and in explain.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	plain, secure := redistest.Start(t), redistest.Start(t, redistest.WithTLS())
	for name, tc := range map[string]struct{ file, says, change string }{
		"TLS port without tls": {standalone(secure.Addr()), "the server speaks TLS", "tls: true"},
		"plain port with tls":  {standalone(plain.Addr(), "tls: true"), "the server does not speak TLS", "tls: false"},
		"no cluster":           {standalone(plain.Addr(), "mode: cluster"), "cluster support disabled", "mode: standalone"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, tc.file, setup{})
			ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
			defer cancel()
			explained := s.polled(ref("jobs"))
			redistest.Eventually(t, "explain says what to change", func() bool {
				text := explained()
				return strings.Contains(text, tc.says) && strings.Contains(text, "advice      Change "+tc.change) && !strings.Contains(text, "; change:")
			})
			_, err := s.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: ref("jobs")})
			if err == nil || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), "; change: "+tc.change) {
				t.Errorf("KEDA gets %v, want %q and %q", err, tc.says, tc.change)
			}
		})
	}
}
