package app_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"

	inspectorpb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/sampler"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// logging makes a scaler log as the program does, at the level debug.
func logging(t *testing.T, w io.Writer) setup {
	t.Helper()
	log := telemetry.NewLog(w, telemetry.FormatText, slog.LevelDebug, backlog.Line)
	t.Cleanup(log.Close)
	return setup{options: func(o *app.Options) {
		o.Logger = log.Logger
		// A read that fails is answered at once.
		o.Sampling = sampler.Options{SafetyInterval: time.Second, ActiveInterval: 200 * time.Millisecond, ReadTimeout: 5 * time.Second, FirstReading: 5 * time.Second}
		o.Server.MaxStaleness = time.Millisecond
	}}
}

// published returns all that leaves a scaler about some triggers, by where it leaves.
func (s *scaler) published(refs map[string]*pb.ScaledObjectRef) map[string]string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), testTimeout)
	defer cancel()
	var mu sync.Mutex
	told := map[string]string{}
	note := func(where, text string) {
		mu.Lock()
		defer mu.Unlock()
		told[where] = text
	}
	// All at once: a first reading that fails waits for the next attempt of its connection.
	var asking sync.WaitGroup
	for name, r := range refs {
		asking.Go(func() {
			_, err := s.client.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r})
			note("GetMetrics of "+name, status.Convert(err).Message())
			_, err = s.client.IsActive(ctx, r)
			note("IsActive of "+name, status.Convert(err).Message())
			spec, err := s.client.GetMetricSpec(ctx, r)
			note("GetMetricSpec of "+name, status.Convert(err).Message()+spec.String())
			stream, err := s.client.StreamMetricSpec(ctx, r)
			if err == nil {
				_, err = stream.Recv()
			}
			note("StreamMetricSpec of "+name, status.Convert(err).Message())
		})
	}
	asking.Wait()
	return told
}

// shownBy returns what the inspector says of a ScaledObject, as messages and as text.
func (s *scaler) shownBy(name string) (*inspectorpb.ExplainResponse, string) {
	s.Helper()
	response, text := explained(s.T, s.app.AdminAddr().String(), name)
	var b bytes.Buffer
	if response != nil {
		if err := explain.JSON(&b, response); err != nil {
			s.Errorf("explain %q as JSON: %v", name, err)
		}
		watched := &inspectorpb.WatchDecisionsResponse{Changed: response.GetExplanations()}
		if err := explain.Lines(&b, watched); err != nil {
			s.Error(err)
		}
	}
	return response, text + b.String()
}

// secret is a value of the environment of a container, which nothing may repeat.
const secret = "hunter2canary"

// privateRefs are triggers whose values come from the environment: of every layout, with
// every text that it has, alone and with what is wrong with others.
func privateRefs(connections ...string) map[string]*pb.ScaledObjectRef {
	refs := map[string]*pb.ScaledObjectRef{}
	add := func(metadata map[string]string) {
		name := fmt.Sprintf("worker-%d", len(refs))
		refs[name] = &pb.ScaledObjectRef{Namespace: "shop", Name: name, ScalerMetadata: metadata}
	}
	layouts := engines.All()[0].Layouts
	for _, connection := range connections {
		for _, layout := range layouts {
			add(map[string]string{"connection": connection, layout.Name + "FromEnv": secret})
			add(map[string]string{"connection": connection, layout.Name + "FromEnv": secret, "missing": "error"})
			if layout.Patterns != "" {
				add(map[string]string{"connection": connection, layout.Name + "FromEnv": secret + "," + secret + "-b", "missing": "error", "weightsFromEnv": secret + "=3"})
				add(map[string]string{"connection": connection, layout.Name + "FromEnv": secret + "*", "combine": "max"})
			}
			for _, parameter := range layout.Parameters {
				if parameter.Kind == backlog.KindText || parameter.Kind == backlog.KindList {
					add(map[string]string{"connection": connection, layout.Name: "jobs", parameter.Name + "FromEnv": secret, "missing": "error"})
				}
				add(map[string]string{"connection": connection, layout.Name: "jobs", parameter.Name + "FromEnv": secret + ",", "missing": "never"})
			}
		}
	}
	// Two that differ in nothing but the value.
	for _, number := range []string{"-1", "-2"} {
		refs["pair"+number] = &pb.ScaledObjectRef{Namespace: "shop", Name: "pair", ScalerMetadata: map[string]string{"connection": connections[0], "listFromEnv": secret + number}}
	}
	for _, key := range []string{"connection", "target", "hold", "count", "weights", "combine", "password", "username", "address", "sentinelPassword", "listName", "lst", "tlsClientKey"} {
		add(map[string]string{"connection": connections[0], "list": "jobs", key + "FromEnv": secret})
		metadata := map[string]string{"list": "jobs", key + "FromEnv": secret}
		if key != "connection" {
			metadata["connection"] = "nowhere"
		}
		add(metadata)
	}
	for _, key := range []string{"password", "username", "sentinelPassword", "caCert", "tlsClientKey", "address", "lst"} {
		add(map[string]string{"connection": connections[0], "list": "jobs", key: secret})
	}
	return refs
}

// TestValuesFromTheEnvironmentStayPrivate: a value that KEDA took from the environment of
// a container may come from a Secret. It is in no answer, no event, no line of the log, no
// metric and no explanation: neither of triggers that work, nor of those that are refused,
// nor in an outage, nor where a server repeats it in its own words.
func TestValuesFromTheEnvironmentStayPrivate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, command := range [][]any{
		{"SET", secret, "of the wrong type"},
		{"RPUSH", secret + "-b", "1"},
		{"RPUSH", secret + "-1", "1"},
		{"RPUSH", secret + "-2", "1", "2"},
		{"SADD", "queues", secret, "other"},
		{"RPUSH", "queue:" + secret, "{}"},
		{"SADD", "asynq:queues", secret},
		{"HSET", "bull:" + secret + ":meta", "a", "b"},
		{"HSET", secret + ":jobs:meta", "a", "b"},
		{"XADD", "jobs-stream", "*", "a", "b"},
	} {
		server.Do(command...)
	}
	words := "ERR unknown command, with args beginning with: '" + secret + "'"
	refusals := map[string]string{}
	for _, command := range []string{"LLEN", "XLEN", "ZCARD", "SCARD", "HLEN", "ZCOUNT", "XINFO GROUPS", "EXISTS", "SISMEMBER"} {
		refusals[command] = words
	}
	proxy := redistest.StartProxy(t, server.Addr(), refusals)
	var log logBuffer
	connection := func(name, address string) string {
		return fmt.Sprintf("  %s: {engine: redis, namespaces: ['*'], addresses: [%q]}\n", name, address)
	}
	s := start(t, "connections:\n"+connection("good", server.Addr())+connection("echo", proxy.Addr())+connection("down", "127.0.0.1:1"), logging(t, &log))
	refs := privateRefs("good", "echo", "down")
	var pages map[string]string
	look := func() {
		t.Helper()
		pages = s.published(refs)
		_, pages["/metrics"] = s.get("/metrics")
		for name, r := range refs {
			_, pages["explain "+name] = s.shownBy(r.GetName())
		}
		_, pages["explain of another"] = s.shownBy("wroker-1")
		pages["log"] = log.String()
		for where, text := range pages {
			if at := strings.Index(text, secret[:7]); at >= 0 {
				t.Errorf("%s shows the value: %.300q", where, text[max(0, at-200):])
			}
		}
	}
	look()
	// They are what the test means them to be.
	found := map[codes.Code]int{}
	for _, r := range refs {
		_, _, err := s.ask(r)
		found[status.Code(err)]++
	}
	for _, code := range []codes.Code{codes.OK, codes.InvalidArgument, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition, codes.Unavailable} {
		if found[code] == 0 {
			t.Errorf("no trigger is answered with %s: %v", code, found)
		}
	}
	series := regexp.MustCompile(`queue_ready_messages\{[^}]*queue="\[from listFromEnv\]",scaledobject="pair",trigger="list-from-env(#\d)?"\} \d`)
	if got := series.FindAllString(pages["/metrics"], -1); len(got) != 2 || got[0] == got[1] {
		t.Errorf("the pair has the series %q", got)
	}
	if !strings.Contains(pages["explain pair-1"], "[from listFromEnv]") {
		t.Errorf("explain does not say where the queue came from:\n%s", pages["explain pair-1"])
	}
	// An outage of what worked.
	server.Kill()
	s.awaitCode(refs["pair-1"], codes.Unavailable)
	look()
}

// hostileText is what no text may have in it, of any length.
func hostileText(length int) string {
	const some = "canary\x1b[2J\x1b]0;title\x07\u202e\u2066\u200b\u2028\u009b31m"
	return strings.Repeat(some, length/len(some)+1)[:length]
}

// checkText reports a text that is not one short line, though it may be one of several.
func checkText(t *testing.T, where, text string, most int) {
	t.Helper()
	if len(text) > most {
		t.Errorf("%s: %d bytes: %.200q", where, len(text), text)
	}
	for line := range strings.Lines(text) {
		bad := strings.IndexFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool {
			return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
		})
		if bad >= 0 || !utf8.ValidString(line) {
			t.Errorf("%s: %.200q", where, line)
			return
		}
	}
}

// checkMessage does so for every text of a message.
func checkMessage(t *testing.T, where string, m protoreflect.Message) {
	t.Helper()
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		here := where + "." + string(field.Name())
		check := func(value protoreflect.Value, kind protoreflect.Kind) {
			switch kind {
			case protoreflect.MessageKind:
				checkMessage(t, here, value.Message())
			case protoreflect.StringKind:
				checkText(t, here, value.String(), backlog.MaxLine)
			default:
			}
		}
		switch {
		case field.IsMap():
			value.Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
				check(key.Value(), field.MapKey().Kind())
				check(value, field.MapValue().Kind())
				return true
			})
		case field.IsList():
			for i := range value.List().Len() {
				check(value.List().Get(i), field.Kind())
			}
		default:
			check(value, field.Kind())
		}
		return true
	})
}

// TestEveryTextIsOneShortLine: whatever a broker answers and a tenant writes, each text
// that leaves the process is one line of at most a KiB, in valid UTF-8, without control
// characters. Metrics are served all the while.
func TestEveryTextIsOneShortLine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, name := range []string{"p-\xff\xfe", "p-\x1b[2J", "p-" + hostileText(900), "p-\n", `p-\n`, "p-\u202e", "p-plain"} {
		server.Do("RPUSH", name, "1")
	}
	server.Do("SADD", "queues", hostileText(5000), "\xff\x1b[2J", "lost-\u202e")
	words := "ERR " + strings.NewReplacer("\r", "", "\n", "").Replace(hostileText(60_000))
	proxy := redistest.StartProxy(t, server.Addr(), map[string]string{
		"LLEN": words, "XLEN": words, "EXISTS": words, "SUBSCRIBE": words, "CLIENT TRACKING": words, "CONFIG GET": words, "SCAN": words, "ZCARD": words,
	})
	greeting := redistest.StartProxy(t, server.Addr(), map[string]string{"SELECT": words, "INFO": words, "LLEN": words})
	var log logBuffer
	connection := func(name, address, more string) string {
		return fmt.Sprintf("  %s: {engine: redis, namespaces: ['*'], addresses: [%q]%s}\n", name, address, more)
	}
	configuration := "connections:\n" + connection("good", server.Addr(), "") + connection("echo", proxy.Addr(), "") + connection("greeting", greeting.Addr(), ", database: 1") +
		connection("down", "127.0.0.1:1", "")
	s := start(t, configuration, logging(t, &log))
	many := make([]string, backlog.MaxQueues)
	for i := range many {
		many[i] = fmt.Sprintf("queue-%d", i)
	}
	long := strings.Repeat("é", 500)
	refs := map[string]*pb.ScaledObjectRef{}
	for _, c := range []string{"good", "echo", "greeting", "down", hostileText(200), long} {
		for i, metadata := range []map[string]string{
			{"list": "p-*"},
			{"list": "jobs"},
			{"list": strings.Join(many, ","), "missing": "error"},
			{"list": hostileText(1000), "missing": "error"},
			{"list": strings.Join([]string{long + "a", long + "b", long + "c", long + "d"}, ",")},
			{"stream": hostileText(5000), "consumerGroup": hostileText(5000)},
			{"sidekiq": "lost-", "missing": "error", "prefix": "\u202e"},
			{"sidekiq": "lost-" + hostileText(1000), "missing": "error"},
			{"list": "jobs", "target": hostileText(1000), "weights": hostileText(500), "hold": hostileText(500), "count": hostileText(500), "activation": long, "missing": long, "combine": long},
			{"list": "jobs", hostileText(1000): "a", long: "b", "\u202e": "c"},
			{"list": "jobs", "unknown" + long: hostileText(1000)},
		} {
			name := fmt.Sprintf("worker-%s-%d", hostileText(20), len(refs))
			if i%2 == 0 {
				name = fmt.Sprintf("worker-%d", len(refs))
			}
			metadata["connection"] = c
			refs[strconv.Itoa(len(refs))] = &pb.ScaledObjectRef{Namespace: "shop", Name: name, ScalerMetadata: metadata}
		}
	}
	redistest.Eventually(t, "names that match are read", func() bool {
		_, page := s.get("/metrics")
		_, _, err := s.ask(refs["0"])
		return err == nil && strings.Contains(page, `queue="p-plain"`) && strings.Contains(page, `queue="p-\\xff\\xfe~`)
	})
	for where, text := range s.published(refs) {
		checkText(t, where, text, backlog.MaxLine)
		if strings.Contains(text, "\n") {
			t.Errorf("%s: several lines: %.200q", where, text)
		}
	}
	code, page := s.get("/metrics")
	if code != 200 {
		t.Errorf("/metrics: %d: %.300s", code, page)
	}
	checkText(t, "/metrics", page, 1<<30)
	for _, value := range regexp.MustCompile(`="((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(page, -1) {
		if len(value[1]) > 400 { // 200, where each may be escaped
			t.Errorf("a label of %d bytes: %.200q", len(value[1]), value[1])
		}
	}
	for name, r := range refs {
		response, text := s.shownBy(r.GetName())
		checkText(t, "explain "+name, text, 1<<20)
		if response != nil {
			checkMessage(t, "explain "+name, response.ProtoReflect())
		}
	}
	_, text := s.shownBy("worker" + hostileText(500))
	checkText(t, "explain of another", text, 2*backlog.MaxLine)
	if _, _, err := s.ask(refs["13"]); !strings.Contains(err.Error(), `"queue-0,queue-1,queue-2" and 997 more`) {
		t.Errorf("a query of 1,000 queues: %v", err)
	}
	for line := range strings.Lines(log.String()) {
		checkText(t, "log", line, 6*backlog.MaxLine)
	}
}
