package conn

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	for info, want := range map[string]struct {
		text string
		lag  resp.LagSupport
	}{
		"# Server\r\nredis_version:6.2.14\r\nrun_id:a\r\n":                        {"redis 6.2.14", resp.LagAbsent},
		"# Server\r\nredis_version:7.0.15\r\nrun_id:a\r\n":                        {"redis 7.0.15", resp.LagTooHigh},
		"# Server\r\nredis_version:7.4.3\r\nrun_id:a\r\n":                         {"redis 7.4.3", resp.LagTooHigh},
		"# Server\r\nredis_version:7.4.4\r\nrun_id:a\r\n":                         {"redis 7.4.4", resp.LagExact},
		"# Server\r\nredis_version:8.2.3\r\nrun_id:a\r\n":                         {"redis 8.2.3", resp.LagExact},
		"# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nrun_id:a\r\n": {"valkey 8.0.1", resp.LagTooHigh},
		"# Server\r\nredis_version:7.2.4\r\nvalkey_version:9.1.2\r\nrun_id:a\r\n": {"valkey 9.1.2", resp.LagExact},
		"# Server\r\nsomething_else:1\r\n":                                        {"", resp.LagTooHigh},
	} {
		got := Identify(info)
		if got.String() != want.text || got.Lag != want.lag || got.Epoch == "" {
			t.Errorf("%q is %+v, want %+v", info, got, want)
		}
	}
}
