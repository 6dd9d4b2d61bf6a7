package app_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
)

// bullmq is a trigger on a BullMQ queue, with further metadata in pairs.
func bullmq(queue string, pairs ...string) *pb.ScaledObjectRef {
	r := ref("", append([]string{"bullmq", queue}, pairs...)...)
	delete(r.ScalerMetadata, "list")
	return r
}

// TestExplain has what goes on while nothing is broken.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, show := range map[string]func(*testing.T, *redistest.Server, *scaler){
		"missing": func(t *testing.T, _ *redistest.Server, s *scaler) {
			t.Helper()
			awaitGolden(t, "missing", s.polled(ref("jobs", "missing", "error")), "NotFound", "(poll)")
		},
		"idle": func(t *testing.T, _ *redistest.Server, s *scaler) {
			t.Helper()
			awaitGolden(t, "idle", s.polled(ref("jobs")), "(poll)")
		},
		"paused": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "bull:emails:wait", "1", "2", "3")
			server.Do("RPUSH", "bull:emails:active", "4")
			server.Do("HSET", "bull:emails:meta", "paused", "1")
			awaitGolden(t, "paused", s.polled(bullmq("emails")), "paused", "(poll)")
		},
		"worker limit": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("HSET", "bull:emails:meta", "concurrency", "2")
			for range 23 {
				server.Do("RPUSH", "bull:emails:wait", "1")
			}
			server.Do("RPUSH", "bull:emails:active", "4")
			awaitGolden(t, "worker-limit", s.polled(bullmq("emails")), "workerLimit", "(poll)")
		},
		"scaled job": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "jobs", "a", "b", "c")
			server.Do("RPUSH", "jobs:processing", "d", "e")
			awaitGolden(t, "scaled-job", s.polled(ref("jobs", "inFlightList", "jobs:processing", "scaledJob", "default", "target", "1")), "5 Jobs", "(call)")
		},
		"scaled job without messages in flight": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "jobs", "a", "b", "c")
			awaitGolden(t, "scaled-job-in-flight-unknown", s.polled(ref("jobs", "scaledJob", "default", "target", "1")), "InvalidArgument")
		},
		"warming up": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "jobs", "a", "b", "c")
			awaitGolden(t, "warming-up", s.polled(ref("jobs", "hold", "10m")), "Unavailable", "(poll)")
		},
		"several queues": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "critical", "a", "b", "c")
			server.Do("RPUSH", "low", "a", "b")
			awaitGolden(t, "several", s.polled(ref("critical, low, later", "weights", "critical=4,low=0.5")), "weights:", "(poll)")
		},
		"drain time": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do(append([]any{"RPUSH", "jobs"}, slices.Repeat([]any{"job"}, 600)...)...)
			awaitGolden(t, "drain", s.polled(ref("jobs", "drainTime", "1m", "throughput", "2")), "drain within", "(poll)")
		},
		"not above the activation": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "jobs", "a", "b", "c")
			awaitGolden(t, "activation", s.polled(ref("jobs", "activation", "10")), "inactive", "(poll)")
		},
		"delayed": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("ZADD", "jobs", "33000000000", "later")
			delayed := ref("", "sortedSet", "jobs")
			delete(delayed.ScalerMetadata, "list")
			awaitGolden(t, "delayed", s.polled(delayed), "(poll)")
		},
		"two triggers": func(t *testing.T, server *redistest.Server, s *scaler) {
			t.Helper()
			server.Do("RPUSH", "other", "a")
			awaitGolden(t, "two", func() string {
				s.polled(ref("other"))()
				return s.polled(ref("jobs"))()
			}, "trigger list-other", "trigger list-jobs",
				"(poll); changes noticed by tracking (redis VERSION); armed\nKEDA", "(poll); changes noticed by tracking (redis VERSION); armed\n            non-empty")
		},
		"misspelt": func(t *testing.T, _ *redistest.Server, s *scaler) {
			t.Helper()
			s.awaitValue(ref("jobs"), 0)
			awaitGolden(t, "misspelt", func() string {
				_, text := explained(t, s.app.AdminAddr().String(), "wroker")
				return text
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			show(t, server, start(t, standalone(server.Addr()), setup{}))
		})
	}
}

// TestExplainHeld has a larger value of before count still.
func TestExplainHeld(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{options: undisturbed})
	held := ref("jobs", "hold", "10m")
	s.stream(held)
	s.heard(server.Do)
	server.Do("RPUSH", "jobs", "a", "b", "c", "d", "e", "f")
	s.awaitValue(held, 6)
	server.Do("LTRIM", "jobs", "0", "1")
	awaitGolden(t, "held", s.polled(held), "hold:", "2 messages", "(wake-up)", "(poll)")
}

// TestExplainAsDocumented: the example of docs/operations.md is what is printed.
func TestExplainAsDocumented(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{options: undisturbed})
	r := ref("jobs", "hold", "10m")
	s.stream(r)
	s.heard(server.Do)
	server.Do(append([]any{"RPUSH", "jobs"}, slices.Repeat([]any{"job"}, 27)...)...)
	s.awaitValue(r, 27)
	server.Do("LTRIM", "jobs", "0", "11")
	awaitGolden(t, "documented", s.polled(r), "12 messages", "became non-empty T ago (wake-up)", "(poll)", "1 open stream")
	golden, err := os.ReadFile("testdata/explain/documented.txt")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(document), "```text\nshop/billing wants")
	example, _, _ = strings.Cut("shop/worker wants"+example, "```")
	if diff := cmp.Diff(strings.Split(string(golden), "\n"), strings.Split(normal(example), "\n")); diff != "" {
		t.Errorf("the example of docs/operations.md (-printed +document):\n%s", diff)
	}
}

// TestExplainWatch: a watch of the configuration is explained under its name.
func TestExplainWatch(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do("RPUSH", "jobs", "a")
	s := start(t, standalone(server.Addr())+"watches:\n  worker:\n    namespace: shop\n    connection: main\n    list: jobs\n", setup{})
	awaitGolden(t, "watch", func() string {
		_, text := s.explanation()
		return text
	}, "1 message", "(poll)")
	response, _ := s.explanation()
	if c := response.GetExplanations()[0].GetCallHistory(); c.GetOpenStreams() != 0 || c.GetLastCallAt() != nil {
		t.Errorf("KEDA has not asked, and yet: %v", c)
	}
}

// TestExplainJSON parses what "scaler explain --output json" prints, by the names
// that the documentation promises.
func TestExplainJSON(t *testing.T) {
	t.Parallel()
	_, s := filled(t)
	response, _ := s.explanation()
	var b strings.Builder
	if err := explain.JSON(&b, response); err != nil {
		t.Fatal(err)
	}
	var got struct {
		At           string
		Explanations []struct {
			Trigger struct {
				Namespace, ScaledObject, Name, Connection, Layout, Queue string
				Metadata                                                 map[string]string
			}
			Decision struct {
				Value, Target  float64
				Active         bool
				WantedReplicas string
			}
			Reading struct {
				Backlog, Ready, Quality string
				AgeSeconds              float64
			}
			ReadStatus  struct{ WakeUpMode, Server string }
			CallHistory struct {
				LastCallAt, LastMethod string
				LastResponses          []struct{ Method, At, UnchangedSince string }
			}
		}
	}
	decoder := json.NewDecoder(strings.NewReader(b.String()))
	if err := decoder.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if len(got.Explanations) != 1 {
		t.Fatalf("%d explanations in\n%s", len(got.Explanations), &b)
	}
	e := got.Explanations[0]
	if got.At == "" || e.Trigger.Namespace != "shop" || e.Trigger.ScaledObject != "worker" || e.Trigger.Name != "list-jobs" ||
		e.Trigger.Connection != "main" || e.Trigger.Layout != "list" || e.Trigger.Queue != "jobs" || e.Trigger.Metadata["list"] != "jobs" ||
		e.Decision.Value != known || e.Decision.Target != 5 || !e.Decision.Active || e.Decision.WantedReplicas != "10" ||
		e.Reading.Backlog != "50" || e.Reading.Ready != "50" || e.Reading.Quality != "exact" || e.Reading.AgeSeconds <= 0 ||
		e.CallHistory.LastCallAt == "" || e.CallHistory.LastMethod != "IsActive" || len(e.CallHistory.LastResponses) != 2 || e.CallHistory.LastResponses[0].Method != "IsActive" {
		t.Errorf("a name has changed, or a value is wrong:\n%+v\n%s", e, &b)
	}
}

// TestAdminPort: the inspector is on its own port alone, and nothing else is there.
func TestAdminPort(t *testing.T) {
	t.Parallel()
	_, s := filled(t)
	main := inspectorpb.NewInspectorServiceClient(s.conn)
	if _, err := main.ListTriggers(t.Context(), &inspectorpb.ListTriggersRequest{}); status.Code(err) != codes.Unimplemented {
		t.Errorf("the port for KEDA answers the inspector's call with %v, want Unimplemented", err)
	}
	if _, text := explained(t, s.app.GRPCAddr().String(), "worker"); !strings.Contains(text, "is not the admin address of a scaler") || !strings.Contains(text, "--admin-address") {
		t.Errorf("asked at the port for KEDA it says\n%s", text)
	}
	admin := s.dialAt(s.app.AdminAddr().String())
	listed, err := inspectorpb.NewInspectorServiceClient(admin).ListTriggers(t.Context(), &inspectorpb.ListTriggersRequest{Namespace: "shop"})
	if err != nil || len(listed.GetTriggers()) != 1 || listed.GetTriggers()[0].GetName() != "list-jobs" {
		t.Errorf("listed %v, %v", listed, err)
	}
	if other, err := inspectorpb.NewInspectorServiceClient(admin).ListTriggers(t.Context(), &inspectorpb.ListTriggersRequest{Namespace: "bank"}); err != nil || len(other.GetTriggers()) != 0 {
		t.Errorf("in another namespace there is %v, %v", other, err)
	}
	if _, err := pb.NewExternalScalerClient(admin).IsActive(t.Context(), ref("jobs")); status.Code(err) != codes.Unimplemented {
		t.Errorf("the admin port answers KEDA's call with %v, want Unimplemented", err)
	}
	if log := s.log.String(); strings.Contains(log, "not loopback") {
		t.Errorf("a loopback address is warned of:\n%s", log)
	}
}

func TestAdminPortOfTheNetwork(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{options: func(o *app.Options) { o.AdminAddress = ":0" }})
	redistest.Eventually(t, "the log warns", func() bool { return strings.Contains(s.log.String(), "the admin address is not loopback") })
}

func TestAdminPortSwitchedOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := start(t, standalone(server.Addr()), setup{options: func(o *app.Options) { o.AdminAddress = "" }})
	s.awaitValue(ref("jobs"), 0)
	if addr := s.app.AdminAddr(); addr != nil {
		t.Errorf("it listens at %s", addr)
	}
	if !strings.Contains(s.log.String(), "admin=off") {
		t.Errorf("the log does not say so:\n%s", s.log)
	}
}

func TestAdminPortTaken(t *testing.T) {
	t.Parallel()
	_, s := filled(t)
	_, err := app.New(t.Context(), app.Options{
		Config: s.config, Engines: engines.All(), Logger: slog.New(slog.DiscardHandler), GRPCAddress: "127.0.0.1:0", HTTPAddress: "127.0.0.1:0", AdminAddress: s.app.AdminAddr().String(),
	})
	if err == nil || !strings.Contains(err.Error(), "listen for the inspector") {
		t.Errorf("two scalers at one admin address: %v", err)
	}
}
