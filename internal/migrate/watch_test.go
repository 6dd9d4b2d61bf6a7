package migrate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestWatches: each new trigger has a static watch that the scaler accepts, unless a variable is not known.
func TestWatches(t *testing.T) {
	t.Parallel()
	const manifests = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: mailer, namespace: shop}
spec:
  scaleTargetRef: {name: mailer}
  triggers:
    - {type: kafka, metadata: {bootstrapServers: "kafka.shop.svc:9092", consumerGroup: g, topicFromEnv: TOPIC, offsetResetPolicy: earliest, limitToPartitionsWithLag: "true"}}
    - {type: cron, metadata: {}}
    - {type: kafka, metadata: {bootstrapServers: "kafka.shop.svc:9092", consumerGroup: g, topicFromEnv: OTHER}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata: {name: mailer, namespace: shop}
spec:
  scalingStrategy: {strategy: accurate}
  jobTargetRef: {template: {spec: {containers: [{name: app}]}}}
  triggers:
    - {type: redis, metadata: {address: "redis.shop.svc:6379", listName: images}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mailer, namespace: shop}
spec: {template: {spec: {containers: [{name: app, env: [{name: TOPIC, value: mails}, {name: OTHER, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}}}
`
	o := options()
	o.Watches = true
	r, err := migrate.Run([]migrate.File{{Name: "a.yaml", Data: []byte(manifests)}}, o)
	if err != nil {
		t.Fatal(err)
	}
	_, watches, _ := strings.Cut(r.Config, "# The queues")
	const want = ` of these triggers are read next to KEDA: remove the watches once the objects are applied.
# There is none for shop.scaledobject.mailer.2: a value comes from a variable that is not known.
watches:
  shop.scaledobject.mailer.0:
    namespace: shop
    connection: kafka
    topic: mails
    consumerGroup: g
    missingOffset: earliest
    target: 10
    activation: "0"
  shop.scaledjob.mailer.0:
    namespace: shop
    connection: redis
    list: images
    target: 5
    activation: "0"
    count: "ready,due"
`
	if diff := cmp.Diff(want, watches); diff != "" {
		t.Errorf("watches (-want +got):\n%s", diff)
	}
	accept(t, r.Config)
	var names []string
	for _, w := range r.Watched {
		names = append(names, w.Watch+" "+strings.Join(w.Announced, "; "))
	}
	if diff := cmp.Diff([]string{"shop.scaledobject.mailer.0 topicFromEnv: a comma, a star, a question mark or a backslash in the variable is special here, and KEDA takes it as it is", "shop.scaledjob.mailer.0 "}, names); diff != "" {
		t.Errorf("what is compared (-want +got):\n%s", diff)
	}
}

// accept wants a configuration whose watches are valid triggers.
func accept(t *testing.T, text string) {
	t.Helper()
	parsed, err := config.Parse([]byte(text), engines.All(), func(string) ([]byte, error) { return []byte("a file"), nil }, func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	catalog := trigger.NewCatalog(parsed.Connections, engines.All())
	for _, w := range parsed.Watches {
		if _, err := catalog.Parse(w.Namespace, w.Trigger); err != nil {
			t.Errorf("watch %s: %v", w.Name, err)
		}
	}
}

// TestWatchesOfTheCorpus: with watches, the configurations without gaps are accepted too.
func TestWatchesOfTheCorpus(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	accepted := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o := options()
		o.Watches = true
		r, _ := migrate.Run([]migrate.File{{Name: path, Data: data}}, o) // what cannot be read is in the golden file
		if r.Config == "" || r.Report.Counts.Gaps > 0 || strings.Contains(r.Config, "tlsCertFile") {
			continue
		}
		accept(t, r.Config)
		accepted++
	}
	if accepted < 8 {
		t.Errorf("%d configurations were tried", accepted)
	}
}
