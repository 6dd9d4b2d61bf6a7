package trigger_test

import (
	"fmt"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// TestMetadataIsBounded: whatever is too large is refused with its bound, and the error
// stays short.
func TestMetadataIsBounded(t *testing.T) {
	t.Parallel()
	keys := func(n int) map[string]string {
		metadata := map[string]string{}
		for i := range n {
			metadata[fmt.Sprintf("unknown%d", i)] = "x"
		}
		return metadata
	}
	for _, tc := range []struct {
		name     string
		metadata map[string]string
		want     string
	}{
		{"too many keys", keys(101), "the metadata has 103 keys, want at most 100"},
		{"a long key", map[string]string{strings.Repeat("k", 64<<10): "x"}, "want at most 65536"},
		{"a long value", map[string]string{"list": strings.Repeat("v", 64<<10)}, "want at most 65536"},
		{"a long name", map[string]string{"list": strings.Repeat("v", 1025)}, "a name is 1025 bytes long, want at most 1024"},
		{"many names", map[string]string{"list": manyNames(1001, "")}, "names more than 1000 queues"},
		{"many weights", map[string]string{"list": "a,b", "weights": manyNames(101, "=1")}, "101 weights, want at most 100"},
		{"many faults", keys(90), "and more"},
		{"a NUL in a value", map[string]string{"list": "a\x00b"}, "list: contains a NUL character"},
		{"a NUL in a key", map[string]string{"a\x00b": "x"}, "contains a NUL character"},
		{"an empty key", map[string]string{"": "x"}, "(empty): a key without a name"},
		{"no part", map[string]string{"count": ","}, `count: ",": names no part, want any of ready, due, inFlight`},
		{"a hexadecimal number", map[string]string{"target": "0x1p-2"}, `target: "0x1p-2": want a number`},
		{"digits apart", map[string]string{"target": "1_000"}, `target: "1_000": want a number`},
		{"a whole number with digits apart", map[string]string{"minReplicas": "1_0"}, `minReplicas: "1_0": want a whole number`},
		{"a target beyond what KEDA can pass on", map[string]string{"target": "1e308"}, `target: "1e308": want at most 1e+09`},
		{"an activation beyond it", map[string]string{"activation": "1e16"}, `activation: "1e16": want at most 9e+15`},
		{"a product beyond it", map[string]string{"drainTime": "24h", "throughput": "1e9"}, "want a number from 0.001 to 1e+09"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			metadata := map[string]string{"connection": "orders", "list": "jobs"}
			maps.Copy(metadata, tc.metadata)
			_, err := catalog().Parse("shop", metadata)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error %v, want %q in it", err, tc.want)
			}
			if len(err.Error()) > 4096 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
		})
	}
}

func manyNames(n int, suffix string) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("q%d%s", i, suffix)
	}
	return strings.Join(names, ",")
}

// TestWhatParsesIsDecided: for every trigger that parses the decision is finite, and
// nothing that KEDA would take for zero.
func TestWhatParsesIsDecided(t *testing.T) {
	t.Parallel()
	now := time.Now()
	number := rapid.Custom(func(t *rapid.T) string {
		if rapid.Bool().Draw(t, "any") {
			return fmt.Sprint(rapid.Float64().Draw(t, "number"))
		}
		return rapid.SampledFrom([]string{"1e308", "1e9", "0.001", "5", "9e15", "1e-300"}).Draw(t, "number")
	})
	rapid.Check(t, func(t *rapid.T) {
		metadata := map[string]string{"connection": "orders", "many": "a,b", "target": number.Draw(t, "target")}
		for _, key := range []string{"activation", "throughput"} {
			if rapid.Bool().Draw(t, "with "+key) {
				metadata[key] = number.Draw(t, key)
			}
		}
		if _, ok := metadata["throughput"]; ok {
			delete(metadata, "target")
			metadata["drainTime"] = rapid.SampledFrom([]string{"1s", "60s", "24h"}).Draw(t, "drain time")
		}
		for _, key := range []string{"minReplicas", "maxReplicas"} {
			if rapid.Bool().Draw(t, "with "+key) {
				metadata[key] = rapid.SampledFrom([]string{"1", "1000", "1000000"}).Draw(t, key)
			}
		}
		if rapid.Bool().Draw(t, "weighted") {
			metadata["weights"] = "a=1000,b=0.000001"
		}
		parsed, err := catalog().Parse("shop", metadata)
		if err != nil {
			return
		}
		n := rapid.SampledFrom([]int64{0, 1, 1 << 48}).Draw(t, "messages")
		parts := []backlog.Part{{Queue: "a", Reading: backlog.Reading{Ready: n, Due: n, InFlight: backlog.Exactly(n)}}, {Queue: "b", Reading: backlog.Reading{Ready: 1}}}
		reading := backlog.Aggregate(parts)
		reading.At = now
		parsed.Policy.MaxStaleness = time.Minute
		d, err := decision.Decide(&parsed.Policy, &backlog.Observation{Latest: reading, Since: now}, 0, now)
		if err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(d.Value) || d.Value < 0 || d.Value > decision.MaxValue {
			t.Errorf("%v: value %v", metadata, d.Value)
		}
		if d.Active && d.Value < float64(parsed.Policy.MinReplicas)*parsed.Policy.Target*(1-1e-9) {
			t.Errorf("%v: value %v is less than minReplicas", metadata, d.Value)
		}
	})
}
