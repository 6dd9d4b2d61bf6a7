package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	one := []string{"127.0.0.1:6379"}
	secret := backlog.NewSecret("secret")
	for name, c := range map[string]struct {
		values map[string]any
		want   []string // none is no error
	}{
		"smallest":                 {map[string]any{"addresses": one}, nil},
		"sentinel":                 {map[string]any{"addresses": one, "mode": "sentinel", "masterName": "m", "sentinelUsername": "u", "sentinelPassword": secret}, nil},
		"cluster":                  {map[string]any{"addresses": one, "mode": "cluster", "username": "u", "password": secret}, nil},
		"no address":               {map[string]any{}, []string{"addresses"}},
		"two addresses":            {map[string]any{"addresses": []string{"a:1", "b:1"}}, []string{"addresses"}},
		"sentinel without a name":  {map[string]any{"addresses": one, "mode": "sentinel"}, []string{"masterName"}},
		"name without sentinel":    {map[string]any{"addresses": one, "masterName": "m"}, []string{"masterName"}},
		"login without sentinel":   {map[string]any{"addresses": one, "sentinelPassword": secret}, []string{"sentinelPassword"}},
		"cluster with a database":  {map[string]any{"addresses": one, "mode": "cluster", "database": int64(2)}, []string{"database"}},
		"user without password":    {map[string]any{"addresses": one, "username": "u"}, []string{"username"}},
		"certificate without key":  {map[string]any{"addresses": one, "tls": true, "tlsCertFile": backlog.File{Path: "c"}}, []string{"tlsKeyFile"}},
		"certificates without tls": {map[string]any{"addresses": one, "tlsCAFile": backlog.File{Path: "c"}}, []string{"tls:"}},
		"authority that is none":   {map[string]any{"addresses": one, "tls": true, "tlsCAFile": backlog.File{Path: "ca.pem", Data: []byte("x")}}, []string{"tlsCAFile", "ca.pem"}},
		"key that is none":         {map[string]any{"addresses": one, "tls": true, "tlsCertFile": backlog.File{Path: "c.pem"}, "tlsKeyFile": backlog.File{Path: "k.pem"}}, []string{"c.pem", "k.pem"}},
		"all faults at once":       {map[string]any{"mode": "sentinel", "username": "u"}, []string{"addresses", "masterName", "username"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connection := backlog.Connection{Name: "orders", Settings: backlog.NewSettings(c.values)}
			err := Engine().Check(connection.Settings)
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want %q in it", err, part)
				}
			}
			if err == nil {
				return
			}
			if _, err := Engine().Open(t.Context(), connection, nil); err == nil || !strings.Contains(err.Error(), "orders") {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestEngineIsComplete: what the documentation is made of is there, and defaults are
// values that their own parameter accepts.
func TestEngineIsComplete(t *testing.T) {
	t.Parallel()
	e := Engine()
	parameters := append([]backlog.Parameter(nil), e.Settings...)
	for _, l := range e.Layouts {
		if l.Name == "" || l.Summary == "" || l.Queue == "" || l.Ready == "" {
			t.Errorf("layout %q is not described", l.Name)
		}
		parameters = append(parameters, l.Parameters...)
	}
	for _, p := range parameters {
		if !strings.HasSuffix(p.Doc, ".") {
			t.Errorf("parameter %q is not described by a sentence", p.Name)
		}
		if p.Default != "" {
			if _, err := p.Parse(p.Default); err != nil {
				t.Errorf("parameter %q does not accept its default %q: %v", p.Name, p.Default, err)
			}
		}
	}
}

func TestSlotOf(t *testing.T) {
	t.Parallel()
	// As CLUSTER KEYSLOT of Redis 7.0 says.
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "{foo}bar": 12182, "foo{}{bar}": 8363, "{}foo": 9500, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "bar": 5061,
	} {
		if got := slotOf(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
		}
	}
}

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
		got := newIdentity(info)
		if got.String() != want.text || got.Lag != want.lag || got.Epoch == "" {
			t.Errorf("%q is %+v, want %+v", info, got, want)
		}
	}
}

func TestParseSlots(t *testing.T) {
	t.Parallel()
	row := func(from, to int64, host any, port int64) []any {
		return []any{from, to, []any{host, port, "id", []any{}}, []any{"10.0.0.9", int64(1), "replica", []any{}}}
	}
	claims, addresses, err := parseSlots([]any{row(100, 200, "10.0.0.2", 2), row(0, 99, nil, 1), row(201, 300, "?", 3)}, "seed:7000")
	want := []shard{{0, 99, "seed:1"}, {100, 200, "10.0.0.2:2"}, {201, 300, "seed:3"}}
	got := shardsOf(claims)
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
	if want := []string{"10.0.0.2:2", "10.0.0.9:1", "seed:1", "seed:3"}; !slices.Equal(addresses, want) {
		t.Errorf("the nodes are %v, want %v", addresses, want)
	}
	r := &routing{shards: got, nodes: map[string]*node{"10.0.0.2:2": {address: "there"}}}
	if _, err := r.node("123456789"); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("a slot that nobody owns: %v", err)
	}
	for _, wrong := range []any{nil, "text", []any{}, []any{"row"}, []any{[]any{int64(1)}}, []any{[]any{int64(1), int64(2), "node"}}, []any{[]any{int64(1), int64(2), []any{"host", "port"}}}} {
		if got, _, err := parseSlots(wrong, "seed:1"); err == nil {
			t.Errorf("%v reads as %v", wrong, got)
		}
	}
}
