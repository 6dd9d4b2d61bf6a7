package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/config"
)

func parseWatches(text string) (*config.Config, error) {
	return config.Parse([]byte("connections: {}\n"+text), nil,
		func(string) ([]byte, error) { return nil, nil },
		func(string) (string, bool) { return "", false })
}

func TestWatches(t *testing.T) {
	t.Parallel()
	got, err := parseWatches("watches:\n  second: {namespace: shop, list: b}\n  first:\n    namespace: shop\n    connection: main\n    list: a\n    target: 20\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Watch{
		{Name: "first", Namespace: "shop", Trigger: map[string]string{"connection": "main", "list": "a", "target": "20"}, Place: ":4:3"},
		{Name: "second", Namespace: "shop", Trigger: map[string]string{"list": "b"}, Place: ":3:3"},
	}
	if diff := cmp.Diff(want, got.Watches); diff != "" {
		t.Errorf("watches (-want +got):\n%s", diff)
	}
}

func TestWatchFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"no namespace", "watches: {a: {list: x}}", `2:11: watches.a: the key "namespace" is missing`},
		{"no mapping", "watches: {a: x}", "2:14: watches.a: got a plain value, want a mapping with namespace and the keys of a trigger"},
		{"a list", "watches: []", "2:10: watches: got a list, want a mapping of names to watches"},
		{"nested value", "watches: {a: {namespace: n, list: [x]}}", "2:35: watches.a.list: got a list, want a text"},
		{"twice", "watches: {a: {namespace: n}, a: {namespace: n}}", "watches.a: the key is given twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseWatches(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error\n%v\nwant\n%s", err, tc.want)
			}
		})
	}
}
