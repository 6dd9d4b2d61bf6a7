package app_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

var update = flag.Bool("update", false, "write the golden files again")

// explanation returns what "scaler explain" prints for shop/worker, errors included.
func (s *scaler) explanation() (*inspectorpb.ExplainResponse, string) {
	s.Helper()
	return explained(s.T, s.app.AdminAddr().String(), "worker")
}

func explained(t *testing.T, address, name string) (*inspectorpb.ExplainResponse, string) {
	t.Helper()
	client, err := inspector.NewClient(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	response, err := client.Explain(ctx, &inspectorpb.ExplainRequest{Namespace: "shop", ScaledObject: name})
	if err != nil {
		return nil, strings.TrimSpace(err.Error()+"\n"+inspector.Advice(err)) + "\n"
	}
	var b strings.Builder
	if err := explain.Text(&b, response); err != nil {
		t.Fatal(err)
	}
	return response, b.String()
}

// What differs from run to run: ages, addresses, versions and who noticed first
// that a time is up.
var (
	aSpan     = regexp.MustCompile(`\b\d+(\.\d+)? (s|min|h)\b`)
	aDuration = regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?m?s\b`)
	anAddress = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	aServer   = regexp.MustCompile(`\((redis|valkey) \d[\d.]*\)`)
	aTimeout  = regexp.MustCompile(`i/o timeout|context deadline exceeded|use of closed network connection`)
	aFile     = regexp.MustCompile(`/\S*/scaler\.yaml`)
)

func normal(text string) string {
	text = aSpan.ReplaceAllString(text, "T")
	text = aDuration.ReplaceAllString(text, "T")
	text = anAddress.ReplaceAllString(text, "ADDRESS")
	text = aServer.ReplaceAllString(text, "(redis VERSION)")
	text = aTimeout.ReplaceAllString(text, "TIMEOUT")
	return aFile.ReplaceAllString(text, "scaler.yaml")
}

// awaitGolden polls what get returns until it is what the golden file says, except for
// times. With -update the file becomes the first text with all of the marks in it.
func awaitGolden(t *testing.T, name string, get func() string, marks ...string) {
	t.Helper()
	file := filepath.Join("testdata", "explain", name+".txt")
	want, err := os.ReadFile(file)
	if err != nil && (!*update || !errors.Is(err, os.ErrNotExist)) {
		t.Fatal(err)
	}
	deadline := time.Now().Add(testTimeout)
	for {
		got := normal(get())
		marked := true
		for _, mark := range marks {
			marked = marked && strings.Contains(got, mark)
		}
		switch {
		case marked && *update:
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		case marked && got == string(want):
			return
		case time.Now().After(deadline):
			t.Fatalf("%s, with %q in it (-want +got):\n%s", file, marks, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")))
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// polled explains the trigger after it was asked for as KEDA polls.
func (s *scaler) polled(r *pb.ScaledObjectRef) func() string {
	return func() string {
		s.Helper()
		ctx, cancel := context.WithTimeout(s.Context(), testTimeout)
		defer cancel()
		// An error is part of what is explained.
		_, _ = s.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r})
		_, _ = s.client.IsActive(ctx, r)
		_, text := s.explanation()
		return text
	}
}

// heard waits until a change is reported as a wake-up: what a connection causes when it
// begins, such as a read of everything, is over then. The queues that it uses for that
// are those of other ScaledObjects.
func (s *scaler) heard(do func(args ...any) any) {
	s.Helper()
	for i := 0; ; i++ {
		probe := ref(fmt.Sprint("probe-", i))
		probe.Name = fmt.Sprint("probe-", i)
		s.stream(probe)
		do("RPUSH", probe.GetName(), "a")
		cause := ""
		redistest.Eventually(s.T, "the change of "+probe.GetName()+" is seen", func() bool {
			response, _ := explained(s.T, s.app.AdminAddr().String(), probe.GetName())
			cause = response.GetExplanations()[0].GetReadStatus().GetBecameNonempty().GetCause()
			return cause != ""
		})
		if cause == string(backlog.CauseWakeUp) {
			return
		}
	}
}

// lookedAfter waits until the queue of shop/worker was read after a moment.
func (s *scaler) lookedAfter(moment time.Time) {
	s.Helper()
	redistest.Eventually(s.T, "the queue is read again", func() bool {
		response, _ := s.explanation()
		return response.GetExplanations()[0].GetReadStatus().GetLastAttempt().GetAt().AsTime().After(moment)
	})
}

// stream opens a StreamIsActive, which lasts until the test ends, and waits until
// the queue is armed.
func (s *scaler) stream(r *pb.ScaledObjectRef) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	stream, err := s.client.StreamIsActive(ctx, r)
	if err != nil {
		s.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if _, err := stream.Recv(); err != nil {
				return
			}
		}
	}()
	s.Cleanup(func() {
		cancel()
		<-ended
	})
	redistest.Eventually(s.T, "the queue is armed", func() bool {
		response, _ := explained(s.T, s.app.AdminAddr().String(), r.GetName())
		if len(response.GetExplanations()) == 0 {
			return false
		}
		return response.GetExplanations()[0].GetReadStatus().GetArmed()
	})
}
