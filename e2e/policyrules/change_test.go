package policyrules_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// change changes one value somewhere in an object or a list, and says how.
func change(random *rand.Rand, value any) string {
	switch v := value.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if len(names) == 0 {
			v["unknown"] = "x"
			return "add unknown"
		}
		name := names[random.IntN(len(names))]
		return changeField(random, v, name)
	case []any:
		if len(v) > 0 {
			i := random.IntN(len(v))
			return fmt.Sprintf("[%d]", i) + change(random, v[i])
		}
	}
	return "nothing"
}

func changeField(random *rand.Rand, fields map[string]any, name string) string {
	if isContainer(fields[name]) && random.IntN(4) > 0 {
		return "." + name + change(random, fields[name])
	}
	switch random.IntN(6) {
	case 0:
		delete(fields, name)
		return ".remove " + name
	case 1:
		added := []string{
			"from", "until", "start", "end", "duration", "floor", "ceiling", "exact", "timeZone", "ramp", "priority", "value", "whenUnknown", "target",
			"annotation", "http", "action", "pods", "percent", "period", "unknown",
		}[random.IntN(21)]
		fields[added] = scalar(random)
		return fmt.Sprintf(".add %s: %v", added, fields[added])
	default:
		fields[name] = scalar(random)
		return fmt.Sprintf(".set %s: %v", name, fields[name])
	}
}

func isContainer(value any) bool {
	switch value.(type) {
	case map[string]any, []any:
		return true
	default:
		return false
	}
}

// scalar returns a value that is right for some field.
func scalar(random *rand.Rand) any {
	values := []any{
		int64(0), int64(1), int64(-1), int64(3), int64(100), int64(1001), int64(1) << 40, 1.5, true, nil, "", "x", "1", "0.5", "-1", "1e3",
		"10s", "15s", "30s", "1m", "1d", "745h", "0s", "1h30m", "9999999999999h", "Europe/Berlin", "Local", "Europe/ Berlin", "0 7 * * 1-5", "0 0 7 * * 1-5", "@daily",
		"2026-11-27T00:00:00+01:00", "2026-11-30T00:00:00Z", "2026-11-30", "Enforce", "Observe", "KEDA", "Scale", "Never", "FromZero", "Floor", "Hold", "Ignore", "Value",
		"Freeze", "Ceiling", "HTTP", "Annotation", "Queue", "Strict", "Prefer", "ScaledObject", "Deployment", "office", "Office", "backlog", "current * 0.8",
		[]any{},
		map[string]any{},
		[]any{"x"},
		map[string]any{"x": "y"},
	}
	return values[random.IntN(len(values))]
}
