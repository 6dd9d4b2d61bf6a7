package reference

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestGenerated holds the generated parts of the documents to the code. With
// -update it writes them.
func TestGenerated(t *testing.T) {
	t.Parallel()
	metrics := scrape(t)
	for _, document := range []struct {
		path   string
		blocks []Block
	}{
		{"README.md", []Block{{"layouts", summary()}}},
		{"docs/design.md", []Block{{"packages", packages(t)}}},
		{"docs/triggers.md", []Block{
			{"common", Parameters(trigger.Common())},
			{"layouts", layouts(t)},
		}},
		{"docs/decisions.md", []Block{
			{"worked examples", decisions(t)},
			{"tolerance", tolerance(t)},
			{"stories", stories(t)},
		}},
		{"docs/operations.md", []Block{{"reasons", reasons()}, {"policy reasons", policyReasons()}}},
		{"docs/configuration.md", []Block{
			{"flags", Flags(help(t, scaler, "serve"))},
			{"settings", settings()},
			{"acl", rights()},
		}},
		{"docs/migrate.md", []Block{{"keda keys", kedaKeys()}}},
		{"docs/doctor.md", []Block{{"doctor flags", Flags(help(t, scaler, "doctor"))}, {"checks", Checks(doctor.Checks())}}},
		{"docs/plugin.md", []Block{{"plugin flags", Flags(help(t, plugin, "explain"))}}},
		{"docs/metrics.md", []Block{
			{"trigger metrics", Metrics(metrics, "backlog_scaler_queue_", "backlog_scaler_trigger_")},
			{"connection metrics", Metrics(metrics, "backlog_scaler_connection_")},
			{"policy metrics", Metrics(policyMetrics(t), "backlog_scaler_policy_", "backlog_scaler_metrics_policies_")},
			{"process metrics", Metrics(metrics, "backlog_scaler_open_", "backlog_scaler_limit_", "backlog_scaler_config_", "backlog_scaler_build_", "grpc_server_")},
		}},
	} {
		t.Run(document.path, func(t *testing.T) {
			t.Parallel()
			got := read(t, document.path)
			want, err := Fill(got, document.blocks...)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(filepath.Join(root, document.path), []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("not as the code says; make generate writes it again (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSchema holds the schema of the chart's connections to the settings of the engines. With -update it
// writes it.
func TestSchema(t *testing.T) {
	t.Parallel()
	const path = "deploy/keda/chart/values.schema.json"
	got := read(t, path)
	want, err := Schema([]byte(got), engines.All())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(filepath.Join(root, path), want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("not as the code says; make generate writes it again (-want +got):\n%s", diff)
	}
}

// help returns the flags of a command of a program as it shows them itself.
func help(t *testing.T, program, command string) []Flag {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, command, "--help")
	cmd.Env = append(os.Environ(), "COLUMNS=2000")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s --help: %v", filepath.Base(program), command, err)
	}
	flags, err := ParseHelp(string(out))
	if err != nil {
		t.Fatal(err)
	}
	return flags
}

// summary is a table of all layouts.
func summary() string {
	t := table{{"engine", "key", "what it is", "waiting", "in flight"}}
	for _, engine := range engines.All() {
		for _, layout := range engine.Layouts {
			inFlight := known(layout.InFlight)
			if layout.Measures {
				inFlight = "none: a number, not messages"
			}
			t = append(t, []string{engine.Name, code(layout.Name), cell(firstSentence(layout.Summary)), cell(known(layout.Ready)), cell(inFlight)})
		}
	}
	return t.String()
}

// layouts is the reference of all layouts, with the examples of deploy/keda/examples.
func layouts(t *testing.T) string {
	t.Helper()
	all := examples(t)
	var b strings.Builder
	for _, engine := range engines.All() {
		b.WriteString(Layouts(engine, all))
	}
	return b.String()
}

var triggersLine = regexp.MustCompile(`(?m)^ {2}triggers:\n`)

// exampleFiles are the ScaledObjects to copy from.
const exampleFiles = "deploy/keda/examples/*.yaml"

// examples are those files of deploy/keda/examples that hold one trigger alone.
func examples(t *testing.T) []Example {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, exampleFiles))
	if err != nil {
		t.Fatal(err)
	}
	var all []Example
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		var object scaledObject
		if err := yaml.Unmarshal(data, &object); err != nil {
			t.Fatal(err)
		}
		place := triggersLine.FindStringIndex(text)
		if strings.Contains(text, "\n---\n") || object.Kind != "ScaledObject" || len(object.Spec.Triggers) != 1 || place == nil {
			continue
		}
		engine, layout := layoutOf(t, object.Spec.Triggers[0])
		all = append(all, Example{
			Engine: engine, Layout: layout,
			Path:    "../deploy/keda/examples/" + filepath.Base(path),
			Comment: comment(text),
			Trigger: outdent(text[place[1]:], "    "),
		})
	}
	return all
}

// layoutOf is the engine and the layout that a trigger names, by its connection;
// both are empty if it names none.
func layoutOf(t *testing.T, one scaledTrigger) (engine, layout string) {
	t.Helper()
	metadata := one.metadata()
	for _, connection := range exampleConnections(t) {
		if connection.Name != metadata["connection"] {
			continue
		}
		for _, e := range engines.All() {
			for _, l := range e.Layouts {
				if _, found := metadata[l.Name]; found && e.Name == connection.Engine {
					return e.Name, l.Name
				}
			}
		}
	}
	return "", ""
}

// comment is the text above a file, as one paragraph.
func comment(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		line, found := strings.CutPrefix(line, "# ")
		if !found {
			break
		}
		words = append(words, strings.TrimSpace(line))
	}
	return strings.Join(words, " ")
}

func outdent(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimPrefix(line, indent))
	}
	return b.String()
}

// settings is a section for each engine.
func settings() string {
	var b strings.Builder
	for _, engine := range engines.All() {
		b.WriteString("### `engine: " + engine.Name + "`\n\n" + engine.Summary + "\n\n" + Settings(engine.Settings) + "\n")
	}
	return b.String()
}

// firstSentence is what a table has room for.
func firstSentence(text string) string {
	before, _, more := strings.Cut(text, ". ")
	if more {
		return before + "."
	}
	return text
}

// rights are the rules of Redis' access control.
func rights() string {
	var b strings.Builder
	b.WriteString("```text\nACL SETUSER scaler on >PASSWORD resetkeys %R~jobs:* " + redis.ACLRules + "\n```\n\n")
	b.WriteString("`%R~jobs:*` is the pattern of the keys that may be read; Redis before 7.0 has no rights to read only, so there it is `~jobs:*`. Redis before 6.2 has no rights to channels: leave out `resetchannels` and what begins with `&` there.\n\n")
	for _, more := range []struct{ when, rules string }{
		{"where keyspace notifications take the place of tracking", redis.ACLKeyspaceRules},
		{"for streams with `scan`, which read entries to count them", redis.ACLScanRules},
		{"in a Cluster", redis.ACLClusterRules},
		{"for job frameworks", redis.ACLFrameworkRules},
		{"for Celery and Dramatiq, which read messages to tell their queue or their time", redis.ACLMessageRules},
		{"for Resque", redis.ACLResqueRules},
		{"for policies with `busyPods.from: Queue`", redis.ACLWorkerRules},
		{"for patterns of queues that the framework does not list, for the private lists of a reliable fetch of Sidekiq, and for the right prefix of a queue that is not found", redis.ACLPatternRules},
	} {
		b.WriteString("In addition " + more.when + ":\n\n```text\n" + more.rules + "\n```\n\n")
	}
	return b.String()
}
