package kafka_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/kafka/kafkatest"
)

// javaClients: Kafka's own producer and consumer. A consumer that commits the offset after each message
// leaves the markers and what was aborted behind, which is nothing that waits.
func javaClients(t *testing.T, f *fixture) {
	t.Helper()
	protocols := []string{"classic", "new"}
	if f.Version == kafkatest.V39 {
		protocols = protocols[:1]
	}
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			topic, group := f.topic(t, 0)
			run(t, "java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f.Library(), filepath.Join("testdata", "Workload.java"), f.Addr(), topic, group, protocol)
			source := f.open(t, nil)
			q := query(topic, group, "isolationLevel", "readCommitted")
			eventually(t, source, q, wantBacklog(0))
			f.client.Produce(t, topic, 0, 3)
			if r := backlogtest.MustRead(t, source, q); r.Backlog() < 3 || r.Backlog() > 6 {
				t.Errorf("3 after what was aborted read as %+v", r)
			}
		})
	}
}

// librdkafka: kcat writes, and reads as a group.
func librdkafka(t *testing.T, f *fixture) {
	t.Helper()
	if _, err := exec.LookPath("kcat"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("find kcat: %v; install it with hack/install-servers.sh", err)
		}
		t.Skip("kcat is not installed: install it with hack/install-servers.sh")
	}
	topic, group := f.topic(t, 0)
	source := f.open(t, nil)
	wakeups := backlogtest.Listen(t, source)
	q := query(topic, group)
	backlogtest.Arm(t, source, wakeups, q)
	run(t, "sh", "-c", "printf '1\\n2\\n3\\n4\\n' | kcat -P -b "+f.Addr()+" -t "+topic)
	wakeups.Await(t, q)
	if r := backlogtest.MustRead(t, source, q); r.Backlog() != 4 || r.Quality != backlog.UpperBound {
		t.Errorf("4 before the group has committed anything read as %+v", r)
	}
	run(t, "kcat", "-G", group, "-b", f.Addr(), "-X", "auto.offset.reset=earliest", "-c", "3", "-q", topic)
	eventually(t, source, q, wantBacklog(1))
}

// run runs a program that must succeed.
func run(t testing.TB, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	if output, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, output)
	}
}
