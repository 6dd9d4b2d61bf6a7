package object_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// TestMatches: a selector by labels and expressions, as the API server evaluates it.
func TestMatches(t *testing.T) {
	t.Parallel()
	labels := map[string]string{"app": "billing", "tier": "back"}
	expression := func(key, operator string, values ...any) object.Value {
		return object.Value{V: map[string]any{"matchExpressions": []any{map[string]any{"key": key, "operator": operator, "values": values}}}}
	}
	for name, c := range map[string]struct {
		selector object.Value
		want     bool
	}{
		"nothing":             {object.Value{}, true},
		"labels":              {object.Value{V: map[string]any{"matchLabels": map[string]any{"app": "billing"}}}, true},
		"another value":       {object.Value{V: map[string]any{"matchLabels": map[string]any{"app": "mailer"}}}, false},
		"a missing label":     {object.Value{V: map[string]any{"matchLabels": map[string]any{"zone": ""}}}, false},
		"In":                  {expression("app", "In", "mailer", "billing"), true},
		"In, not among":       {expression("app", "In", "mailer"), false},
		"In, missing":         {expression("zone", "In", ""), false},
		"NotIn":               {expression("app", "NotIn", "mailer"), true},
		"NotIn, missing":      {expression("zone", "NotIn", "a"), true},
		"NotIn, among":        {expression("app", "NotIn", "billing"), false},
		"Exists":              {expression("tier", "Exists"), true},
		"Exists, missing":     {expression("zone", "Exists"), false},
		"DoesNotExist":        {expression("zone", "DoesNotExist"), true},
		"an unknown operator": {expression("app", "Gt", "1"), false},
	} {
		if got := object.Matches(labels, c.selector); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestValue: a value of another type is taken for none, and unknown is not zero.
func TestValue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value  any
		number int64
		found  bool
		shown  string
	}{
		"a number of JSON":  {int64(3), 3, true, "3"},
		"a number of YAML":  {3, 3, true, "3"},
		"a whole float":     {3.0, 3, true, "3"},
		"a fraction":        {2.5, 0, false, "2.5"},
		"text":              {"3", 0, false, "3"},
		"true":              {true, 0, false, "true"},
		"nothing":           {nil, 0, false, ""},
		"a map":             {map[string]any{}, 0, false, ""},
		"too large a float": {1e300, 0, false, "1e+300"},
	} {
		v := object.Value{V: c.value}
		if n, found := v.Number(); n != c.number || found != c.found || v.Shown() != c.shown {
			t.Errorf("%s: %d, %v, %q; want %d, %v, %q", name, n, found, v.Shown(), c.number, c.found, c.shown)
		}
	}
}
