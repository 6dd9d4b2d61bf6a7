package topology

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestSlotOf(t *testing.T) {
	t.Parallel()
	// As CLUSTER KEYSLOT of Redis 7.0 says.
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "{foo}bar": 12182, "foo{}{bar}": 8363, "{}foo": 9500, "foo{{bar}}zap": 4015, "foo{bar}{zap}": 5061, "bar": 5061,
	} {
		if got := SlotOf(key); got != want {
			t.Errorf("slot of %q is %d, want %d", key, got, want)
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
	m := &SlotMap{shards: got}
	if _, err := m.Node("123456789"); !errors.Is(err, backlog.ErrUnavailable) {
		t.Errorf("a slot without an owner: %v", err)
	}
	for _, wrong := range []any{nil, "text", []any{}, []any{"row"}, []any{[]any{int64(1)}}, []any{[]any{int64(1), int64(2), "node"}}, []any{[]any{int64(1), int64(2), []any{"host", "port"}}}} {
		if got, _, err := parseSlots(wrong, "seed:1"); err == nil {
			t.Errorf("%v reads as %v", wrong, got)
		}
	}
}
