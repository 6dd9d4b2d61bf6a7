package candidate_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
)

// object returns a ScaledObject with fields of its spec.
func object(fields string) string {
	return "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: emails, namespace: shop}\nspec:\n" + fields
}

// ours is a trigger of the scaler.
const ours = "  triggers: [{type: external-push, metadata: {connection: main, list: jobs, target: '7'}}]\n"

func read(text string) ([]candidate.Candidate, error) {
	reader := candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	return reader.Read("file", []byte(text))
}

func TestObject(t *testing.T) {
	t.Parallel()
	all, err := read(object(`
  pollingInterval: 10
  cooldownPeriod: 60
  minReplicaCount: 2
  idleReplicaCount: 0
  maxReplicaCount: 40
  fallback: {failureThreshold: 3, replicas: 6}
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp: {stabilizationWindowSeconds: 30, tolerance: "0"}
        scaleDown: {selectPolicy: Min, policies: [{type: Pods, value: 2, periodSeconds: 60}, {type: Percent, value: 10, periodSeconds: 30}]}
` + ours))
	if err != nil {
		t.Fatal(err)
	}
	c := all[0]
	up, down := hpa.DefaultUp(), hpa.DefaultDown()
	up.Stabilization, up.Tolerance = 30*time.Second, 0
	down.Select, down.Policies = hpa.SelectMin, []hpa.Policy{{Pods: 2, Period: time.Minute}, {Percent: 10, Period: 30 * time.Second}}
	want := hpa.ScaledObject{Min: 2, Max: 40, Idle: new(int32(0)), Cooldown: time.Minute, Behavior: &hpa.Behavior{Up: up, Down: down}}
	if diff := cmp.Diff(want, c.Object); diff != "" || c.Polling != 10*time.Second || c.Name != "file" || c.ObjectName != "emails" || len(c.Notes) != 1 {
		t.Errorf("%+v; (-want +got):\n%s", c, diff)
	}
	q := c.Triggers[0].Queue
	if q == nil || q.Spec.Target != 7 || !q.Hidden || q.Counter || !c.Triggers[0].Push || q.Spec.MaxStaleness != 30*time.Second {
		t.Errorf("the trigger is %+v", c.Triggers[0])
	}
	like := candidate.BuiltIn(&c)
	if like == nil || like.Triggers[0].Push || *like.Triggers[0].BuiltIn != (simulation.BuiltIn{Target: 7, Waiting: true}) || like.Polling != c.Polling {
		t.Errorf("with KEDA's own trigger it is %+v", like)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	all, err := read(object(ours) + "---\n" + object("  triggers: [{type: rabbitmq, metadata: {value: '3', mode: QueueLength, excludeUnacknowledged: 'true', activationValue: '2'}}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if c := all[0]; c.Polling != 30*time.Second || c.Object.Cooldown != 5*time.Minute || c.Object.Max != 100 || c.Object.Behavior != nil || c.Name != "file/emails" {
		t.Errorf("%+v", c)
	}
	if b := all[1].Triggers[0].BuiltIn; b == nil || *b != (simulation.BuiltIn{Target: 3, Activation: 2, Waiting: true}) {
		t.Errorf("KEDA's trigger is %+v", b)
	}
	if like := candidate.BuiltIn(&all[1]); like != nil {
		t.Errorf("of KEDA's trigger there is another one: %+v", like)
	}
}

func TestRejects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "kind: ConfigMap\n", "no ScaledObject found"},
		{"no YAML", "a: [", "parse YAML"},
		{"no triggers", object("  maxReplicaCount: 3\n"), "triggers: missing"},
		{"a trigger's key", object("  triggers: [{type: external, metadata: {connection: main, list: jobs, traget: '5'}}]\n"), `did you mean "target"?`},
		{"a type", object("  triggers: [{type: cron, metadata: {}}]\n"), `type "cron" is not simulated, want external-push`},
		{"a similar type", object("  triggers: [{type: rabitmq, metadata: {}}]\n"), `did you mean "rabbitmq"?`},
		{"a target", object("  triggers: [{type: redis, metadata: {listLength: many}}]\n"), `metadata.listLength "many"`},
		{"no target", object("  triggers: [{type: prometheus, metadata: {query: up}}]\n"), "metadata.threshold: missing"},
		{"a number", object("  triggers: [{type: external, metadata: {connection: main, path: /jobs, value: $.n, target: '5'}}]\n"), "measures a number"},
		{"bounds", object("  minReplicaCount: 9\n  maxReplicaCount: 3\n" + ours), "minReplicaCount 9: want at most maxReplicaCount, 3"},
		{"a polling interval", object("  pollingInterval: 0\n" + ours), "pollingInterval: want 1 or more seconds"},
		{"a formula of KEDA", object("  advanced: {scalingModifiers: {formula: a+b}}\n" + ours), "advanced.scalingModifiers"},
		{"a policy that is not there", object("  triggers: [{type: external-push, metadata: {policy: night}}]\n"), "policy shop/night: want the AutoscalerPolicy in the same file"},
		{"a ScaledJob", object("  triggers: [{type: external, metadata: {connection: main, list: jobs, scaledJob: default, inFlightList: held}}]\n"), "a ScaledJob is not simulated"},
		{"a tolerance", object("  advanced: {horizontalPodAutoscalerConfig: {behavior: {scaleUp: {tolerance: much}}}}\n" + ours), `scaleUp.tolerance "much"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if _, err := read(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

// FuzzRead: no text makes a panic, and what is read can be changed and written, or says why not.
func FuzzRead(f *testing.F) {
	f.Add(object(ours))
	f.Add("kind: List\nitems: [{kind: ScaledObject, spec: {triggers: [{type: redis, metadata: {listLength: 5}}]}}]\n")
	f.Add("---\n# nothing\n---\n" + object("  minReplicaCount: &n 3\n  maxReplicaCount: *n\n"+ours))
	reader := &candidate.Reader{Engines: engines.All(), Notice: candidate.DefaultNotice}
	settings := candidate.Settings{DrainTime: time.Minute, Throughput: 2, Min: new(int32(1)), DownWindow: new(time.Minute), Tolerance: new(0.0)}
	f.Fuzz(func(_ *testing.T, text string) {
		found, err := reader.Read("file", []byte(text))
		if err != nil {
			return
		}
		for i := range found {
			if changed, err := reader.With(&found[i], &settings); err == nil {
				_, _ = changed.YAML()
			}
		}
	})
}
