package object

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// A Value is a part of an object, as a decoder of YAML or JSON returns it. Each method takes a value of
// another type for one that is missing.
type Value struct{ V any }

// At returns the value below keys.
func (v Value) At(keys ...string) Value {
	for _, key := range keys {
		fields, _ := v.V.(map[string]any)
		v = Value{fields[key]}
	}
	return v
}

// Exists reports whether there is a value that is not null.
func (v Value) Exists() bool { return v.V != nil }

// Text returns a string; empty without one.
func (v Value) Text() string {
	text, _ := v.V.(string)
	return text
}

// Shown returns a scalar as text.
func (v Value) Shown() string {
	switch scalar := v.V.(type) {
	case string:
		return scalar
	case bool:
		return strconv.FormatBool(scalar)
	case int, int64, uint64, float64:
		if n, whole := v.Number(); whole {
			return strconv.FormatInt(n, 10)
		}
		f, _ := v.V.(float64)
		return strconv.FormatFloat(f, 'g', -1, 64)
	default:
		return ""
	}
}

// Number returns a whole number, and reports whether there is one.
func (v Value) Number() (n int64, found bool) {
	switch number := v.V.(type) {
	case int:
		return int64(number), true
	case int64:
		return number, true
	case float64:
		if number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int64(number), true
		}
	}
	return 0, false
}

// NumberOr returns a whole number, or another one without it.
func (v Value) NumberOr(other int64) int64 {
	if n, found := v.Number(); found {
		return n
	}
	return other
}

// Truth reports whether the value is true.
func (v Value) Truth() bool {
	truth, _ := v.V.(bool)
	return truth
}

// List returns the items of a list.
func (v Value) List() []Value {
	items, _ := v.V.([]any)
	list := make([]Value, len(items))
	for i, item := range items {
		list[i] = Value{item}
	}
	return list
}

// Texts returns the scalars of a map.
func (v Value) Texts() map[string]string {
	fields, _ := v.V.(map[string]any)
	texts := make(map[string]string, len(fields))
	for key, field := range fields {
		texts[key] = Value{field}.Shown()
	}
	return texts
}

// Moment returns a time of the API server; zero without one.
func (v Value) Moment() time.Time {
	moment, err := time.Parse(time.RFC3339, v.Text())
	if err != nil {
		return time.Time{}
	}
	return moment
}

// Condition returns an entry of a list of conditions by its type.
func (v Value) Condition(kind string) Value {
	for _, condition := range v.List() {
		if condition.At("type").Text() == kind {
			return condition
		}
	}
	return Value{}
}

// IsTrue reports whether a text stands for true, as KEDA takes it.
func IsTrue(text string) bool {
	truth, err := strconv.ParseBool(strings.TrimSpace(text))
	return truth && err == nil
}
