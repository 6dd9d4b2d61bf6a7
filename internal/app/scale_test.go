package app_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
)

// TestThousandTriggersCostAHandful holds 1,000 streams open on one Redis and
// reads from the server what they cost it.
func TestThousandTriggersCostAHandful(t *testing.T) {
	t.Parallel()
	const triggers = 1000
	const safety = time.Second
	redis := redistest.Start(t)
	s := start(t, standalone(redis.Addr()), setup{options: func(o *app.Options) {
		o.Sampling = sampler.Options{SafetyInterval: safety}
	}})
	streams := make([]interface {
		Recv() (*pb.IsActiveResponse, error)
	}, triggers)
	for i := range streams {
		stream, err := s.client.StreamIsActive(t.Context(), ref(fmt.Sprint("jobs", i)))
		if err != nil {
			t.Fatal(err)
		}
		streams[i] = stream
	}
	for _, stream := range streams {
		if reply, err := stream.Recv(); err != nil || reply.GetResult() {
			t.Fatalf("first message %v (%v), want inactive", reply, err)
		}
	}
	own := 0
	for line := range strings.SplitSeq(text(t, redis, "CLIENT", "LIST"), "\n") {
		if strings.Contains(line, "name=backlog-scaler") {
			own++
		}
	}
	if own == 0 || own > 3 {
		t.Errorf("%d connections for %d triggers, want 1 to 3", own, triggers)
	}

	// Idle queues are confirmed in every interval and read in every sixth, after as many
	// in which they are read each time.
	const intervals = 6
	batchesOf := func() int {
		_, metrics := s.get("/metrics")
		return int(sample(t, metrics, "backlog_scaler_connection_batches_total"))
	}
	redistest.Eventually(t, "only some of the queues are read in each batch", func() bool {
		// Of three batches, because the last of them may be counted here and not there.
		length, batch := lengths(t, redis), batchesOf()
		for batchesOf() < batch+3 {
			time.Sleep(safety / 4)
		}
		return (lengths(t, redis)-length)/3 < triggers/2
	})
	began := time.Now()
	before, received := lengths(t, redis), stat(t, text(t, redis, "INFO", "stats"), "total_reads_processed")
	_, metrics := s.get("/metrics")
	batches := sample(t, metrics, "backlog_scaler_connection_batches_total")
	confirmed := sample(t, metrics, "backlog_scaler_connection_confirmations_total")
	events := sample(t, metrics, "backlog_scaler_connection_wakeups_total")
	// The intervals themselves are what is measured here. A machine that stalls leaves some
	// of them out.
	reads := 0
	redistest.Eventually(t, "the queues were read, and confirmed in each interval", func() bool {
		time.Sleep(safety)
		if time.Since(began) < intervals*safety {
			return false
		}
		reads = lengths(t, redis) - before
		_, metrics = s.get("/metrics")
		return reads >= triggers*(intervals-1)/intervals &&
			int(sample(t, metrics, "backlog_scaler_connection_batches_total")-batches) >= intervals-1 &&
			int(sample(t, metrics, "backlog_scaler_connection_confirmations_total")-confirmed) >= intervals-1
	})
	// If a machine stalls for seconds the connection on which the scaler listens is lost,
	// and then it rightly reads everything once more.
	most := int(time.Since(began)/safety) + 1 + int(sample(t, metrics, "backlog_scaler_connection_wakeups_total")-events)
	if reads > most*(triggers/intervals+1) {
		t.Errorf("%d LLEN in %d safety intervals, want at most %d in each", reads, most, triggers/intervals+1)
	}
	if got := int(sample(t, metrics, "backlog_scaler_connection_batches_total") - batches); got > most {
		t.Errorf("%d batches in %d safety intervals, want at most one each", got, most)
	}
	if got := int(sample(t, metrics, "backlog_scaler_connection_confirmations_total") - confirmed); got > most {
		t.Errorf("%d confirmations in %d safety intervals, want at most one each", got, most)
	}
	// A server reads at most 16 kB at a time, so a batch of 167 commands of about 30
	// bytes is a read or two, where one by one they would be a thousand in all.
	const perBatch = 20
	if got := stat(t, text(t, redis, "INFO", "stats"), "total_reads_processed") - received; got > most*perBatch {
		t.Errorf("the server read %d times in %d safety intervals, want at most %d each", got, most, perBatch)
	}

	if t.Failed() {
		t.Logf("wake-ups: %v, log:\n%s", sample(t, metrics, "backlog_scaler_connection_wakeups_total"), s.log)
	}
	redis.Do("RPUSH", "jobs617", "wake up")
	if reply, err := streams[617].Recv(); err != nil || !reply.GetResult() {
		t.Errorf("after the write %v (%v), want active", reply, err)
	}
}

// text runs a command whose answer is a text.
func text(t *testing.T, redis *redistest.Server, args ...any) string {
	t.Helper()
	answer, ok := redis.Do(args...).(string)
	if !ok {
		t.Fatalf("%v answered with no text", args)
	}
	return answer
}

// stat returns a number of INFO.
func stat(t *testing.T, info, name string) int {
	t.Helper()
	_, rest, found := strings.Cut(info, "\r\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	n, err := strconv.Atoi(value)
	if !found || err != nil {
		t.Fatalf("INFO has no number %s: %v", name, err)
	}
	return n
}

// lengths returns how often the server ran LLEN.
func lengths(t *testing.T, redis *redistest.Server) int {
	t.Helper()
	_, rest, _ := strings.Cut(text(t, redis, "INFO", "commandstats"), "cmdstat_llen:calls=")
	value, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(value)
	if err != nil {
		t.Fatalf("INFO has no calls of LLEN: %v", err)
	}
	return n
}

// sample returns the value of a metric that has one series.
func sample(t *testing.T, metrics, name string) float64 {
	t.Helper()
	for line := range strings.SplitSeq(metrics, "\n") {
		if fields := strings.Fields(line); len(fields) == 2 && strings.HasPrefix(line, name+"{") {
			value, err := strconv.ParseFloat(fields[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
