package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// limited is the catalog with a connection whose queues are limited.
func limited() *trigger.Catalog {
	engine := backlog.Engine{Name: "redis", Layouts: []backlog.Layout{
		{Name: "list", Queue: "key of the list", Patterns: "Redis", Oldest: "unknown", Parameters: []backlog.Parameter{
			{Name: "inFlightList", Kind: backlog.KindText, NamesKey: true},
			{Name: "prefix", Kind: backlog.KindText},
			{Name: "score", Kind: backlog.KindChoice, Allowed: []string{"none", "time"}},
			{Name: "steps", Kind: backlog.KindList},
			{Name: "pages", Kind: backlog.KindInteger, Min: 1, Max: 9},
		}, Check: func(q backlog.Query) error {
			if prefix := q.Params.Get("prefix"); prefix != "" {
				return fmt.Errorf("%w: prefix %q does not go with %q", trigger.ErrDenied, prefix, q.Queue)
			}
			return nil
		}},
		{Name: "stream", Queue: "key of the stream"},
	}}
	return trigger.NewCatalog([]backlog.Connection{
		{Name: "orders", Engine: "redis", Namespaces: []string{"shop"}},
		{Name: "narrow", Engine: "redis", Namespaces: []string{"shop"}, Queues: []string{"{namespace}-*"}},
		{Name: "hunter22", Engine: "redis", Namespaces: []string{"bank"}},
	}, []backlog.Engine{engine})
}

// TestValuesFromTheEnvironmentStayPrivate: whatever key a value from the environment has,
// and whatever is wrong with it or with the rest, no fault repeats it, and neither does the
// name of the metric. The same value in the ScaledObject itself is repeated.
func TestValuesFromTheEnvironmentStayPrivate(t *testing.T) {
	t.Parallel()
	values := []string{
		"hunter2-canary", "canary,canary", "canary*", `canary\`, "canary=3", "canary=x,canary", "canary\x00", "canary\n", ",canary", "сanary-canary",
		strings.Repeat("canary", 300), "-1canary", "redis://user:canary@host", "canary@host", " canary ", `"canary"`, "canary\xff", "hunter2canary,shop-x",
	}
	keys := []string{"list", "stream", "inFlightList", "prefix", "score", "steps", "pages", "unknown", "password", "listName", "address", "username", "scalerAddress"}
	for _, parameter := range trigger.Common() {
		keys = append(keys, parameter.Name)
	}
	bases := []map[string]string{
		{"connection": "orders", "list": "jobs"},
		{"connection": "narrow", "list": "shop-jobs"},
		{"connection": "orders", "list": "a,b", "weights": "cabary=3,c=2"},
		{"connection": "orders", "list": "jobs", "combine": "max", "missing": "never", "prefix": "p"},
		{"connection": "narrow", "list": "shop-canaries", "prefix": "p"},
		{"connection": "nowhere", "stream": "s"},
		{},
	}
	shown, catalog := 0, limited()
	for _, key := range keys {
		for _, value := range values {
			for _, base := range bases {
				metadata := map[string]string{key + "FromEnv": value}
				plain := map[string]string{key: value}
				for k, v := range base {
					if k != key {
						metadata[k], plain[k] = v, v
					}
				}
				parsed, err := catalog.Parse("shop", metadata)
				texts := parsed.MetricName + parsed.Query.String() + parsed.Query.ShownQueue()
				if err != nil {
					texts += err.Error()
				}
				if strings.Contains(strings.ReplaceAll(texts, "shop-canaries", ""), "canary") || strings.Contains(texts, "hunter2") {
					t.Errorf("%q: %q and %v: %s", key, value, base, texts)
				}
				if _, err := catalog.Parse("shop", plain); err != nil && strings.Contains(err.Error(), "canary") {
					shown++
				}
			}
		}
	}
	if shown < 100 {
		t.Errorf("%d faults repeat a value of the ScaledObject itself", shown)
	}
}

// TestFaultsOfTheEnvironment: a fault names the key, where the value came from, and what
// is allowed.
func TestFaultsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, key, value, want string }{
		{"a number", "targetFromEnv", "0", `target: [from targetFromEnv]: want a number greater than 0`},
		{"a choice", "scoreFromEnv", "tame", `score: [from scoreFromEnv]: want one of none, time`},
		{"weights", "weightsFromEnv", "high", `weights: [from weightsFromEnv]: want NAME=NUMBER`},
		{"a queue", "listFromEnv", "a,,b", `list: [from listFromEnv]: a name is empty`},
		{"a connection", "connectionFromEnv", "odrers", `no connection [from connectionFromEnv] (there are: narrow, orders)`},
		{"a limit", "inFlightListFromEnv", "bank-x", `may not use [from inFlightListFromEnv] of connection "narrow"`},
		{"a rule of the engine", "prefixFromEnv", "secret", `not accepted with what comes from the environment: [from prefixFromEnv]`},
		{"nothing", "listFromEnv", "", `list: is empty, want the key of the list`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			metadata := map[string]string{"connection": "narrow", "list": "shop-jobs", tc.key: tc.value}
			delete(metadata, strings.TrimSuffix(tc.key, "FromEnv"))
			_, err := limited().Parse("shop", metadata)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}
