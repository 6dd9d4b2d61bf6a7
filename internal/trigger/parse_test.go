package trigger_test

import (
	"errors"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

func catalog() *trigger.Catalog {
	return trigger.NewCatalog(
		[]backlog.Connection{
			{Name: "orders", Engine: "redis", Namespaces: []string{"shop", "team-*"}},
			{Name: "vault", Engine: "redis", Namespaces: []string{"bank"}},
		},
		[]backlog.Engine{{Name: "redis", Layouts: []backlog.Layout{
			{Name: "list", Queue: "key of the list", Patterns: "among the lists"},
			{
				Name: "stream", Queue: "key of the stream", MissingIsError: true,
				Parameters: []backlog.Parameter{
					{Name: "consumerGroup", Kind: backlog.KindText},
					{Name: "groupStart", Kind: backlog.KindChoice, Allowed: []string{"first", "last"}, Default: "first"},
				},
			},
			{
				Name: "pair", Queue: "name", SharesKeys: true,
				Parameters: []backlog.Parameter{{Name: "other", Kind: backlog.KindText, Required: true}},
				Check: func(q backlog.Query) error {
					if q.Params.Get("other") == q.Queue {
						return errors.New("pair and other are the same")
					}
					return nil
				},
			},
			{Name: "many", Queue: "names of lists", Patterns: "everywhere", Oldest: "exact", Finished: "all"},
		}}},
	)
}

func defaults() decision.Spec {
	return decision.Spec{Target: 5, Count: decision.CountAll}
}

func TestWakeToken(t *testing.T) {
	t.Parallel()
	c := trigger.NewCatalog([]backlog.Connection{{Name: "orders", Engine: "redis", WakeToken: backlog.NewSecret("s")}}, []backlog.Engine{{Name: "redis"}})
	if token := c.WakeToken("orders"); token.Reveal() != "s" {
		t.Errorf("the token is %q", token.Reveal())
	}
	if c.WakeToken("other").IsSet() {
		t.Error("a connection that does not exist has a token")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		namespace string
		metadata  map[string]string
		want      trigger.Trigger
	}{
		{
			name:      "the least there can be",
			namespace: "shop",
			metadata:  map[string]string{"connection": "orders", "list": "jobs"},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "list", Queue: "jobs"},
				Policy: defaults(), MetricName: "list-jobs",
			},
		},
		{
			name:      "several queues and a pattern",
			namespace: "shop",
			metadata:  map[string]string{"connection": "orders", "list": "critical, tenant-* ,low,critical"},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "list", Queue: "critical,tenant-*,low", Namespace: "shop"},
				Policy: defaults(), MetricName: "list-critical-tenant---low-c13edfa6",
			},
		},
		{
			name:      "a comma where the layout reads one queue",
			namespace: "shop",
			metadata:  map[string]string{"connection": "orders", "stream": "a,b"},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "stream", Queue: "a,b", Params: backlog.NewParams(map[string]string{"groupStart": "first"})},
				Policy: decision.Spec{Target: 5, Count: decision.CountAll, MissingIsError: true}, MetricName: "stream-a-b-36624275",
			},
		},
		{
			name:      "everything, with KEDA's own keys and one from the environment",
			namespace: "team-blue",
			metadata: map[string]string{
				"scalerAddress": "backlog-scaler:9090", "enableTLS": "true", "unsafeSsl": "false",
				"connection": "orders", "stream": "Orders", "consumerGroupFromEnv": "billing",
				"target": "2.5", "activation": "10", "count": "ready, inFlight", "hold": "90s",
				"missing": "zero", "maxStaleness": "1m",
			},
			want: trigger.Trigger{
				Connection: "orders",
				Query: backlog.Query{Layout: "stream", Queue: "Orders", Params: backlog.NewParams(map[string]string{
					"consumerGroup": "billing", "groupStart": "first", backlog.ParamFromEnv: "consumerGroupFromEnv",
				})},
				Policy: decision.Spec{
					Target: 2.5, Activation: 10, Hold: 90 * time.Second, HoldActive: 90 * time.Second, Traceless: true,
					Count: decision.CountReady | decision.CountInFlight, MaxStaleness: time.Minute,
				},
				MetricName: "stream-orders-from-env-ready-inflight-638c8872",
			},
		},
		{
			name:      "a drain time, with all that goes with it",
			namespace: "shop",
			metadata: map[string]string{
				"connection": "orders", "many": "jobs", "drainTime": "60s", "throughput": "0.3333", "rateWindow": "30s",
				"maxAge": "45s", "hold": "1m", "holdActive": "5m", "minReplicas": "2", "maxReplicas": "20",
			},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "many", Queue: "jobs"},
				Policy: decision.Spec{
					Target: 19.998, DrainTime: time.Minute, RateWindow: 30 * time.Second, MaxAge: 45 * time.Second,
					Hold: time.Minute, HoldActive: 5 * time.Minute, Traceless: true, MinReplicas: 2, MaxReplicas: 20, Count: decision.CountAll,
				},
				MetricName: "many-jobs",
			},
		},
		{
			name:      "several queues, and a window that was not named",
			namespace: "shop",
			metadata: map[string]string{
				"connection": "orders", "many": "critical, tenant-*", "combine": "max", "weights": `critical = 3, tenant-a\=b=0.5,*=2`,
				"drainTime": "10s", "throughput": "2",
			},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "many", Queue: "critical,tenant-*", Namespace: "shop"},
				Policy: decision.Spec{
					Target: 20, DrainTime: 10 * time.Second, RateWindow: time.Minute, Count: decision.CountAll, Largest: true,
					Weights: []decision.Weight{{Queues: "critical", Value: 3}, {Queues: `tenant-a\=b`, Value: 0.5}, {Queues: "*", Value: 2}},
				},
				MetricName: "many-critical-tenant-28c0fcb3",
			},
		},
		{
			name:      "a layout whose queues share keys",
			namespace: "shop",
			metadata:  map[string]string{"connection": "orders", "pair": "a", "other": "b"},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "pair", Queue: "a", Params: "other=b"},
				Policy: decision.Spec{Target: 5, Count: decision.CountAll, SharesKeys: true}, MetricName: "pair-a-b",
			},
		},
		{
			name:      "a target finer than Kubernetes can tell",
			namespace: "shop",
			metadata:  map[string]string{"connection": "orders", "list": "jobs", "target": "0.0004"},
			want: trigger.Trigger{
				Connection: "orders", Query: backlog.Query{Layout: "list", Queue: "jobs"},
				Policy: decision.Spec{Target: 0.001, Count: decision.CountAll}, MetricName: "list-jobs",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := catalog().Parse(tc.namespace, tc.metadata)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("trigger (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		metadata map[string]string // added to connection: orders, list: jobs; an empty value deletes
		want     string
	}{
		{"no connection", map[string]string{"connection": ""}, "connection: required: the name of a connection of the scaler's configuration (there are: orders)"},
		{"unknown connection", map[string]string{"connection": "order"}, `connection: not available: namespace "shop" has no connection "order", did you mean "orders"? (there are: orders)`},
		{"another tenant's connection", map[string]string{"connection": "vault"}, `connection: not available: namespace "shop" has no connection "vault" (there are: orders)`},
		{"no queue", map[string]string{"list": ""}, "no key names the queue, want one of list, stream, pair, many"},
		{"no queue, but a layout's parameter", map[string]string{"list": "", "consumerGroup": "g"}, "no key names the queue, want one of list, stream, pair, many"},
		{"misspelt layout", map[string]string{"list": "", "lisst": "jobs"}, `no key names the queue, want one of list, stream, pair, many; lisst: unknown key, did you mean "list"?`},
		{"two queues", map[string]string{"stream": "s"}, "stream: the queue is named by list already, want one of list, stream, pair, many"},
		{"a name between commas is empty", map[string]string{"list": "a,,b"}, `list: "a,,b": a name is empty, want names separated by single commas`},
		{"a backslash at the end", map[string]string{"list": `a\`}, `list: "a\\": ends with a single \, want \\ for a backslash`},
		{"blank queue", map[string]string{"list": " "}, "list: is empty, want the key of the list"},
		{"misspelt key", map[string]string{"tagret": "5"}, `tagret: unknown key, did you mean "target"?`},
		{"a parameter of another layout", map[string]string{"consumerGroup": "g"}, "consumerGroup: unknown key"},
		{"target is no number", map[string]string{"target": "five"}, `target: "five": want a number`},
		{"target is zero", map[string]string{"target": "0"}, `target: "0": want a number greater than 0`},
		{"throughput alone", map[string]string{"throughput": "2"}, "throughput: needs drainTime as well: within which time the backlog is to be gone"},
		{"drain time alone", map[string]string{"drainTime": "60s"}, "drainTime: needs throughput as well: the messages that one replica finishes in a second"},
		{"drain time and target", map[string]string{"drainTime": "60s", "throughput": "2", "target": "5"}, "target: does not go with drainTime, for which the target is throughput times drainTime"},
		{"drain time too short", map[string]string{"drainTime": "10ms", "throughput": "2"}, `drainTime: "10ms": want a duration from 1s to 24h0m0s`},
		{"throughput is zero", map[string]string{"drainTime": "60s", "throughput": "0"}, `throughput: "0": want a number greater than 0`},
		{"less than Kubernetes can tell", map[string]string{"drainTime": "1s", "throughput": "0.0001"}, "throughput: times drainTime is 0.0001 messages per replica, want a number from 0.001 to 1e+09"},
		{"rate window alone", map[string]string{"rateWindow": "60s"}, "rateWindow: is for drainTime, which is not set"},
		{"rate window too short", map[string]string{"drainTime": "60s", "throughput": "2", "rateWindow": "5s"}, `rateWindow: "5s": want a duration from 10s to 1h0m0s`},
		{"age where it is not known", map[string]string{"maxAge": "30s"}, "maxAge: of a list it is not known how long messages wait"},
		{"bounds crossed", map[string]string{"minReplicas": "5", "maxReplicas": "4"}, "minReplicas: 5 is more than maxReplicas, which is 4"},
		{"no bound", map[string]string{"maxReplicas": "0"}, `maxReplicas: "0": want a whole number from 1 to 1000000`},
		{"a weight of another queue", map[string]string{"list": "", "many": "critical,low", "weights": "critcal=2,l*=3"}, `weights: "critcal" is none of the queues that many names, did you mean "critical"?`},
		{"weights of one queue", map[string]string{"weights": "jobs=2"}, "weights: is for several queues, and list names one"},
		{"the largest of one queue", map[string]string{"combine": "max"}, "combine: is for several queues, and list names one"},
		{"a weight without a name", map[string]string{"weights": " = 2"}, `weights: "= 2": "= 2" is no weight, want NAME=NUMBER`},
		{"a weight of nothing", map[string]string{"weights": "a=0"}, `weights: "a=0": "0" is no weight, want a number above 0, at most 1000`},
		{"a weight that is no number", map[string]string{"weights": "a=NaN"}, `weights: "a=NaN": "NaN" is no weight, want a number above 0, at most 1000`},
		{"a weight twice", map[string]string{"weights": "a=1,b=2,a=3"}, `weights: "a=1,b=2,a=3": "a" is there twice`},
		{"active hold too long", map[string]string{"holdActive": "2h"}, `holdActive: "2h": want at most 1h0m0s`},
		{"target is not finite", map[string]string{"target": "NaN"}, `target: "NaN": want a number`},
		{"negative activation", map[string]string{"activation": "-1"}, `activation: "-1": want a number that is not negative`},
		{"unknown part", map[string]string{"count": "ready,delayed"}, `count: "ready,delayed": "delayed" is not one of ready, due, inFlight`},
		{"unknown choice", map[string]string{"missing": "eror"}, `missing: "eror": want one of zero, error; did you mean "error"`},
		{"hold without a unit", map[string]string{"hold": "30"}, `hold: "30": want a duration such as "30s" or "5m"`},
		{"hold too long", map[string]string{"hold": "2h"}, `hold: "2h": want at most 1h0m0s`},
		{"staleness too short", map[string]string{"maxStaleness": "1ms"}, `maxStaleness: "1ms": want a duration from 1s to 1h0m0s`},
		{"twice", map[string]string{"target": "5", "targetFromEnv": "6"}, "targetFromEnv: target is set as well, only one of the two may be"},
		{"empty value", map[string]string{"hold": " "}, `hold: is empty, want a duration such as "30s" or "5m"`},
		{"required parameter", map[string]string{"list": "", "pair": "a"}, "other: required, want a text"},
		{"parameters that do not go together", map[string]string{"list": "", "pair": "a", "other": "a"}, "pair and other are the same"},
		{"several at once", map[string]string{"target": "x", "hold": "y"}, `target: "x": want a number; hold: "y": want a duration such as "30s" or "5m"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			metadata := map[string]string{"connection": "orders", "list": "jobs"}
			maps.Copy(metadata, tc.metadata)
			maps.DeleteFunc(metadata, func(_, value string) bool { return value == "" })
			_, err := catalog().Parse("shop", metadata)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error\n%v, want\n%v", err, tc.want)
			}
		})
	}
}

func TestMetricNamesSuitKubernetes(t *testing.T) {
	t.Parallel()
	suits := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,57}[a-z0-9])?$`)
	seen := map[string]string{}
	for _, queue := range []string{
		"jobs", "Jobs", "jobs_", "jobs:", "queue:jobs", "queue/jobs", strings.Repeat("long", 40), strings.Repeat("long", 41),
		"ünïcode", "-", "a b", strings.Repeat("-", 100),
	} {
		got, err := catalog().Parse("shop", map[string]string{"connection": "orders", "list": queue})
		if err != nil {
			t.Fatal(err)
		}
		if !suits.MatchString(got.MetricName) {
			t.Errorf("queue %q: metric name %q", queue, got.MetricName)
		}
		if other, taken := seen[got.MetricName]; taken {
			t.Errorf("queues %q and %q are both named %q", queue, other, got.MetricName)
		}
		seen[got.MetricName] = queue
	}
}

func FuzzParse(f *testing.F) {
	f.Add("connection", "orders", "list", "jobs", "target", "5")
	f.Add("connection", "orders", "stream", "s", "consumerGroupFromEnv", "\xff")
	f.Add("connectionFromEnv", "orders", "count", ",,", "FromEnv", "x")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		metadata := map[string]string{k1: v1, k2: v2, k3: v3}
		first, err := catalog().Parse("shop", metadata)
		again, errAgain := catalog().Parse("shop", metadata)
		if diff := cmp.Diff(first, again); diff != "" || (err == nil) != (errAgain == nil) {
			t.Errorf("the same metadata parsed differently (-first +again):\n%s\n%v\n%v", diff, err, errAgain)
		}
		if err == nil && (first.Policy.Target <= 0 || first.Query.Queue == "" || first.MetricName == "") {
			t.Errorf("accepted %q as %+v", metadata, first)
		}
	})
}
