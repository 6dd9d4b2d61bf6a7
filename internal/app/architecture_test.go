package app_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/backlog-scaler/backlog-scaler/"

// mayImport is the import table: for each package, which others of the module it
// may know. Engines may know backlog alone, and how to find the name that a user
// meant, so that one more is one folder and one line in engines.
func mayImport() map[string][]string {
	return map[string][]string{
		"cmd/scaler": {
			"gen/*", "internal/app", "internal/backlog", "internal/backlog/engines", "internal/cli", "internal/cli/command", "internal/config", "internal/doctor/facts", "internal/doctor/running",
			"internal/kube", "internal/kube/api", "internal/kube/manifests", "internal/kube/workloads", "internal/migrate", "internal/migrate/shadow", "internal/page", "internal/policies/runner", "internal/sampler",
			"internal/server", "internal/server/inspector", "internal/simulation", "internal/simulation/*", "internal/telemetry", "internal/trigger",
		},
		"api/v1alpha1": {},
		"cmd/kubectl-backlog": {
			"gen/*", "internal/backlog", "internal/backlog/engines", "internal/cli", "internal/cli/command", "internal/doctor/facts", "internal/doctor/running",
			"internal/kube/api", "internal/kube/kubectl", "internal/kube/releases", "internal/kube/tunnel", "internal/replicas", "internal/server/inspector", "internal/telemetry",
		},
		"cmd/scaler-demo": {"*"},
		"gen/*":           {},
		"internal/app": {
			"internal/admin", "internal/backlog", "internal/config", "internal/page", "internal/policies", "internal/policies/metrics", "internal/policies/runner", "internal/sampler", "internal/server",
			"internal/server/connlimit", "internal/server/inspector", "internal/telemetry", "internal/trigger",
		},
		"internal/admin":                    {},
		"internal/backlog":                  {"internal/spelling"},
		"internal/backlog/backlogtest":      {"internal/backlog", "internal/childprocess"},
		"internal/backlog/engines":          {"internal/backlog", "internal/backlog/*"},
		"internal/backlog/*":                {"internal/backlog", "internal/spelling"},
		"internal/childprocess":             {},
		"internal/childprocess/processtest": {},
		"internal/terminal":                 {},
		"internal/cli":                      {},
		"internal/cli/command": {
			"gen/*", "internal/app", "internal/backlog", "internal/config", "internal/doctor", "internal/doctor/*", "internal/explain", "internal/kube/api", "internal/policycheck", "internal/trigger",
		},
		"internal/config":                          {"internal/backlog", "internal/spelling"},
		"internal/demo":                            {"*"},
		"internal/demo/*":                          {"*"},
		"internal/doctor":                          {"internal/decision", "internal/doctor/facts", "internal/doctor/object", "internal/policycheck", "internal/spelling", "internal/trigger"},
		"internal/doctor/cluster":                  {"internal/backlog", "internal/doctor/facts", "internal/doctor/object", "internal/kube/api"},
		"internal/doctor/facts":                    {"internal/doctor/object", "internal/policycheck", "internal/trigger"},
		"internal/doctor/manifests":                {"internal/doctor/object"},
		"internal/doctor/object":                   {},
		"internal/doctor/output":                   {"internal/backlog", "internal/doctor", "internal/doctor/object"},
		"internal/doctor/running":                  {"gen/*", "internal/backlog", "internal/doctor/facts", "internal/server/inspector"},
		"internal/doctor/triggers":                 {"internal/backlog", "internal/policies", "internal/policycheck", "internal/trigger"},
		"internal/explain":                         {"gen/*", "internal/terminal"},
		"internal/hpa":                             {},
		"internal/kube":                            {"api/v1alpha1", "internal/kube/api", "internal/kube/conversion", "internal/kube/election", "internal/kube/kubeconfig", "internal/policies", "internal/policy", "worker"},
		"internal/kube/api":                        {"api/v1alpha1"},
		"internal/kube/conversion":                 {"api/v1alpha1", "internal/policies", "internal/policy", "internal/schedule"},
		"internal/kube/election":                   {},
		"internal/kube/kubeconfig":                 {"internal/spelling"},
		"internal/kube/kubectl":                    {},
		"internal/kube/kubetest":                   {},
		"internal/kube/releases":                   {"internal/backlog", "internal/kube/api"},
		"internal/kube/tunnel":                     {"internal/backlog"},
		"internal/kube/manifests":                  {"internal/kube/api"},
		"internal/kube/workloads":                  {"internal/kube/api"},
		"internal/licenses":                        {},
		"internal/page":                            {"gen/*", "internal/backlog", "internal/explain", "internal/policies", "internal/policy", "internal/schedule", "internal/server/inspector"},
		"internal/page/pagetest":                   {"internal/admin", "internal/backlog", "internal/backlog/backlogtest", "internal/page", "internal/policies", "internal/policies/runner", "internal/policy", "internal/sampler", "internal/schedule", "internal/server", "internal/server/inspector", "internal/trigger"},
		"internal/policies":                        {"internal/backlog", "internal/decision", "internal/policy", "internal/trigger"},
		"internal/policies/metrics":                {"internal/policies", "internal/policy"},
		"internal/policies/runner":                 {"internal/backlog", "internal/decision", "internal/policies", "internal/policy", "internal/schedule", "internal/spelling", "internal/trigger"},
		"internal/decision":                        {"internal/backlog"},
		"internal/faults":                          {"*"},
		"internal/formula":                         {"internal/spelling"},
		"internal/policy":                          {"internal/formula", "internal/schedule"},
		"internal/schedule":                        {"internal/spelling"},
		"internal/reference":                       {"*"},
		"internal/reference/*":                     {"*"},
		"internal/replicas":                        {"gen/*", "internal/server/inspector"},
		"internal/sampler":                         {"internal/backlog"},
		"internal/server":                          {"internal/backlog", "internal/decision", "internal/decision/push", "internal/policies", "internal/server/connlimit", "internal/server/refcodec", "internal/trigger"},
		"internal/server/connlimit":                {},
		"internal/server/refcodec":                 {},
		"internal/server/inspector":                {"gen/*", "internal/backlog", "internal/decision", "internal/hpa", "internal/policies", "internal/policy", "internal/server", "internal/spelling"},
		"internal/decision/push":                   {"internal/decision"},
		"internal/simulation":                      {"internal/backlog", "internal/decision", "internal/decision/push", "internal/hpa", "internal/policies", "internal/policy", "internal/simulation/trace", "internal/trigger"},
		"internal/simulation/candidate":            {"internal/backlog", "internal/hpa", "internal/policies", "internal/policy", "internal/policycheck", "internal/simulation", "internal/spelling", "internal/trigger"},
		"internal/simulation/comparison":           {"internal/backlog", "internal/simulation", "internal/simulation/trace", "internal/simulation/tuning", "internal/terminal"},
		"internal/simulation/record":               {"gen/*", "internal/backlog", "internal/simulation/trace"},
		"internal/simulation/trace":                {"internal/spelling"},
		"internal/simulation/tuning":               {"internal/policies", "internal/simulation", "internal/simulation/candidate", "internal/simulation/trace"},
		"internal/spelling":                        {},
		"tools/krewmanifest":                       {},
		"tools/prose":                              {},
		"worker":                                   {},
		"examples/worker":                          {"worker"},
		"internal/soak":                            {"*"},
		"internal/soak/*":                          {"internal/backlog", "internal/soak/*"},
		"internal/soak/jetstreamstage":             {"internal/backlog/jetstream/jetstreamtest", "internal/childprocess", "internal/soak/*"},
		"internal/soak/sqsstage":                   {"internal/backlog/backlogtest", "internal/backlog/sqs/sqstest", "internal/soak/*"},
		"internal/soak/kafkastage":                 {"internal/backlog/kafka/kafkatest", "internal/childprocess", "internal/soak/*"},
		"internal/soak/rabbitstage":                {"internal/backlog/backlogtest", "internal/backlog/rabbitmq/rabbitmqtest", "internal/soak/*"},
		"internal/soak/sqlstage":                   {"internal/backlog/backlogtest", "internal/backlog/mysql/mysqltest", "internal/backlog/postgresql/postgresqltest", "internal/soak/*"},
		"internal/soak/redisstage":                 {"internal/backlog/backlogtest", "internal/backlog/redis/redistest", "internal/soak/*"},
		"internal/telemetry":                       {},
		"internal/trigger":                         {"internal/backlog", "internal/decision", "internal/spelling"},
		"internal/backlog/redis":                   {"internal/backlog", "internal/backlog/network", "internal/backlog/quota", "internal/backlog/redis/*", "internal/backlog/tlsconfig", "internal/backlog/wakes", "internal/spelling"},
		"internal/backlog/redis/conn":              {"internal/backlog", "internal/backlog/network", "internal/backlog/redis/resp"},
		"internal/backlog/redis/conn/node":         {"internal/backlog", "internal/backlog/network", "internal/backlog/redis/conn", "internal/backlog/redis/resp"},
		"internal/backlog/redis/conn/topology":     {"internal/backlog", "internal/backlog/redis/conn", "internal/backlog/redis/conn/node", "internal/backlog/redis/resp"},
		"internal/backlog/redis/*":                 {},
		"internal/backlog/redis/resp":              {"internal/backlog"},
		"internal/backlog/redis/keyscan":           {"internal/backlog", "internal/backlog/redis/conn", "internal/backlog/redis/conn/node", "internal/backlog/redis/conn/topology", "internal/backlog/redis/layout", "internal/backlog/redis/resp"},
		"internal/backlog/redis/layout":            {"internal/backlog", "internal/backlog/redis/resp", "internal/spelling"},
		"internal/backlog/redis/layout/*":          {"internal/backlog", "internal/backlog/redis/layout", "internal/backlog/redis/resp"},
		"internal/backlog/redis/layout/layouttest": {"*"},
		"internal/backlog/redis/layout/taskiq":     {"internal/backlog", "internal/backlog/redis/layout", "internal/backlog/redis/layout/native"},

		"internal/backlog/network":    {"internal/backlog"},
		"internal/backlog/reads":      {"internal/backlog"},
		"internal/backlog/quota":      {"internal/backlog"},
		"internal/backlog/tlsconfig":  {"internal/backlog"},
		"internal/backlog/wakes":      {"internal/backlog"},
		"internal/backlog/httpapi":    {"internal/backlog", "internal/backlog/network", "internal/backlog/reads", "internal/backlog/tlsconfig"},
		"internal/backlog/httpjson":   {"internal/backlog", "internal/backlog/httpapi"},
		"internal/backlog/jetstream":  {"internal/backlog", "internal/backlog/network", "internal/backlog/reads", "internal/backlog/tlsconfig", "internal/backlog/wakes"},
		"internal/backlog/kafka":      {"internal/backlog", "internal/backlog/kafka/tail", "internal/backlog/network", "internal/backlog/quota", "internal/backlog/reads", "internal/backlog/tlsconfig", "internal/backlog/wakes"},
		"internal/backlog/kafka/tail": {"internal/backlog", "internal/backlog/network", "internal/backlog/wakes"},
		"internal/backlog/logs":       {"internal/backlog", "internal/backlog/httpapi"},
		"internal/backlog/prometheus": {"internal/backlog", "internal/backlog/httpapi"},
		"internal/backlog/sqlqueue":   {"internal/backlog", "internal/spelling"},
		"internal/backlog/sqs":        {"internal/backlog", "internal/backlog/network", "internal/backlog/reads", "internal/backlog/tlsconfig"},
		"internal/backlog/mysql":      {"internal/backlog", "internal/backlog/mysql/layout", "internal/backlog/network", "internal/backlog/reads", "internal/backlog/sqlqueue", "internal/backlog/tlsconfig"},
		"internal/backlog/postgresql": {"internal/backlog", "internal/backlog/network", "internal/backlog/postgresql/layout", "internal/backlog/reads", "internal/backlog/sqlqueue", "internal/backlog/tlsconfig", "internal/backlog/wakes"},

		"internal/backlog/mysql/layout":        {"internal/backlog", "internal/backlog/sqlqueue"},
		"internal/backlog/mysql/mysqltest":     {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/postgresql/layout":   {"internal/backlog", "internal/backlog/sqlqueue"},
		"internal/backlog/rabbitmq":            {"internal/backlog", "internal/backlog/network", "internal/backlog/quota", "internal/backlog/rabbitmq/lag", "internal/backlog/rabbitmq/dialer", "internal/backlog/rabbitmq/management", "internal/backlog/rabbitmq/stream", "internal/backlog/rabbitmq/tap", "internal/backlog/reads", "internal/backlog/tlsconfig", "internal/backlog/wakes"},
		"internal/backlog/rabbitmq/lag":        {"internal/backlog", "internal/backlog/network", "internal/backlog/rabbitmq/dialer", "internal/backlog/rabbitmq/stream"},
		"internal/backlog/rabbitmq/dialer":     {"internal/backlog", "internal/backlog/network"},
		"internal/backlog/rabbitmq/management": {"internal/backlog", "internal/backlog/httpapi", "internal/backlog/rabbitmq/dialer", "internal/backlog/tlsconfig"},
		"internal/backlog/rabbitmq/stream":     {"internal/backlog"},
		"internal/backlog/rabbitmq/tap":        {"internal/backlog", "internal/backlog/network", "internal/backlog/rabbitmq/dialer", "internal/backlog/rabbitmq/management", "internal/backlog/wakes"},

		"internal/migrate":           {"internal/backlog", "internal/config", "internal/migrate/builtin", "internal/migrate/manifest", "internal/migrate/shadow", "internal/trigger"},
		"internal/migrate/builtin":   {"internal/backlog", "internal/migrate/framework", "internal/spelling"},
		"internal/migrate/framework": {"internal/backlog"},
		"internal/migrate/manifest":  {"internal/backlog", "internal/migrate/builtin"},
		"internal/migrate/shadow":    {"internal/backlog"},

		"internal/policycheck":                 {"api/v1alpha1", "internal/backlog", "internal/kube/conversion", "internal/policies", "internal/policies/runner", "internal/policy", "internal/policycheck/schema", "internal/schedule", "internal/spelling", "internal/trigger"},
		"internal/policycheck/policychecktest": {},
		"internal/policycheck/schema":          {"internal/spelling"},

		"internal/backlog/jetstream/jetstreamtest":   {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/kafka/kafkatest":           {"internal/backlog/tlsconfig/tlstest", "internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/logs/logstest":             {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/postgresql/postgresqltest": {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/prometheus/prometheustest": {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/rabbitmq/rabbitmqtest":     {"internal/backlog/tlsconfig/tlstest", "internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/redis/redistest":           {"internal/backlog/tlsconfig/tlstest", "internal/childprocess"},
		"internal/backlog/sqs/sqstest":               {"internal/childprocess", "internal/childprocess/processtest"},
		"internal/backlog/tlsconfig/tlstest":         {"internal/backlog"},
	}
}

// homes are the packages in which alone a dependency, or a part of the standard
// library, may appear.
func homes() map[string][]string {
	return map[string][]string{
		"github.com/redis/go-redis/v9":                              {"examples/worker", "internal/backlog/redis/conn", "internal/backlog/redis/layout/layouttest", "internal/backlog/redis/redistest", "internal/demo", "internal/demo/*", "internal/soak/redisstage"},
		"github.com/kedacore/keda/v2/pkg/scalers/externalscaler":    {"internal/backlog/redis/layout/layouttest", "internal/demo", "internal/demo/*", "internal/faults", "internal/page/pagetest", "internal/server", "internal/server/refcodec", "internal/soak"},
		"google.golang.org/grpc/codes":                              {"gen/*", "internal/demo/*", "internal/faults", "internal/server", "internal/server/*", "internal/soak"},
		"google.golang.org/grpc/status":                             {"gen/*", "internal/demo/*", "internal/faults", "internal/server", "internal/server/*", "internal/soak"},
		"go.yaml.in/yaml/v3":                                        {"internal/config", "internal/demo/*", "internal/doctor/manifests", "internal/explain", "internal/kube/kubeconfig", "internal/migrate/manifest", "internal/policycheck", "internal/policycheck/schema", "internal/reference", "internal/reference/*", "internal/simulation/candidate"},
		"connectrpc.com/connect":                                    {"internal/server/inspector"},
		"github.com/alecthomas/kong":                                {"cmd/kubectl-backlog", "cmd/scaler", "cmd/scaler-demo", "internal/reference", "internal/reference/*"},
		"github.com/prometheus/client_golang/prometheus/collectors": {"internal/telemetry"},
		"github.com/alicebob/miniredis/v2":                          {"internal/demo", "internal/demo/*"},
		"github.com/prometheus/prometheus/promql/parser":            {"internal/backlog/prometheus"},
		"github.com/twmb/franz-go/pkg/kgo":                          {"internal/backlog/kafka", "internal/backlog/kafka/kafkatest", "internal/soak/kafkastage"},
		"github.com/twmb/franz-go/pkg/kmsg":                         {"internal/backlog/kafka", "internal/backlog/kafka/tail", "internal/backlog/kafka/kafkatest"},
		"github.com/twmb/franz-go/pkg/kadm":                         {"internal/backlog/kafka/kafkatest", "internal/faults", "internal/soak/kafkastage"},
		"github.com/rabbitmq/amqp091-go":                            {"internal/backlog/rabbitmq", "internal/backlog/rabbitmq/dialer", "internal/backlog/rabbitmq/rabbitmqtest", "internal/backlog/rabbitmq/tap", "internal/soak/rabbitstage"},
		"github.com/nats-io/nats.go":                                {"internal/backlog/jetstream", "internal/backlog/jetstream/jetstreamtest", "internal/faults", "internal/soak/jetstreamstage"},
		"github.com/nats-io/nats.go/jetstream":                      {"internal/backlog/jetstream/jetstreamtest", "internal/faults", "internal/soak/jetstreamstage"},
		"github.com/aws/aws-sdk-go-v2/aws":                          {"internal/backlog/sqs", "internal/backlog/sqs/sqstest"},
		"github.com/aws/aws-sdk-go-v2/credentials":                  {"internal/backlog/sqs", "internal/backlog/sqs/sqstest"},
		"github.com/aws/aws-sdk-go-v2/service/sqs":                  {"internal/backlog/sqs", "internal/backlog/sqs/sqstest", "internal/soak/sqsstage"},
		"github.com/aws/aws-sdk-go-v2/service/sts":                  {"internal/backlog/sqs"},
		"github.com/nats-io/nats-server/v2/server":                  {"internal/backlog/jetstream/jetstreamtest"},
		"github.com/nats-io/nkeys":                                  {"internal/backlog/jetstream"},
		"github.com/theory/jsonpath":                                {"internal/backlog/httpjson"},
		"github.com/robfig/cron/v3":                                 {"internal/schedule"},
		"github.com/go-sql-driver/mysql":                            {"internal/backlog/mysql", "internal/backlog/mysql/mysqltest"},
		"github.com/jackc/pgx/v5":                                   {"internal/backlog/postgresql/postgresqltest"},
		"github.com/jackc/pgx/v5/pgconn":                            {"internal/backlog/postgresql"},
		"github.com/jackc/pgx/v5/pgproto3":                          {"internal/backlog/postgresql"},
		"golang.org/x/net/http/httpproxy":                           {"internal/doctor"},
		"github.com/expr-lang/expr":                                 {"internal/formula"},
		"github.com/expr-lang/expr/ast":                             {"internal/formula"},
		"github.com/expr-lang/expr/file":                            {"internal/formula"},
		"github.com/expr-lang/expr/parser":                          {"internal/formula"},
		"github.com/expr-lang/expr/vm":                              {"internal/formula"},
		"k8s.io/client-go/rest":                                     {"internal/kube", "internal/kube/api", "internal/kube/kubeconfig", "internal/kube/kubectl", "internal/kube/manifests", "internal/kube/tunnel", "internal/kube/workloads"},
		"k8s.io/client-go/tools/clientcmd":                          {"internal/kube/kubectl"},
		"k8s.io/client-go/tools/portforward":                        {"internal/kube/kubetest", "internal/kube/tunnel"},
		"k8s.io/client-go/transport/spdy":                           {"internal/kube/tunnel"},
		"k8s.io/client-go/transport/websocket":                      {"internal/kube/tunnel"},
		"k8s.io/streaming/pkg/httpstream":                           {"internal/kube/kubetest", "internal/kube/tunnel"},
		"k8s.io/streaming/pkg/httpstream/spdy":                      {"internal/kube/kubetest", "internal/kube/tunnel"},
		"github.com/gorilla/websocket":                              {"internal/kube/kubetest"},
		"k8s.io/client-go/dynamic":                                  {"internal/kube/api"},
		"k8s.io/client-go/tools/cache":                              {"internal/kube/api"},
		"github.com/evanphx/json-patch/v5":                          {"internal/kube"},
	}
}

// pure packages have no context, clock, logger, goroutine or I/O; what they may
// import of the standard library is listed.
func pure() map[string][]string {
	arithmetic := []string{"cmp", "errors", "fmt", "hash/fnv", "maps", "math", "slices", "strconv", "strings", "time"}
	return map[string][]string{
		"internal/decision":           arithmetic,
		"internal/doctor":             slices.Concat(arithmetic, []string{"encoding/json", "net/url", "golang.org/x/net/http/httpproxy"}),
		"internal/doctor/facts":       slices.Concat(arithmetic, []string{"net/netip"}),
		"internal/doctor/object":      arithmetic,
		"internal/backlog/redis/resp": arithmetic,
		"internal/trigger":            arithmetic,
		"internal/backlog/sqlqueue":   slices.Concat(arithmetic, []string{"unicode/utf8"}),
		"internal/hpa":                arithmetic,
		"internal/kube/conversion":    arithmetic,
		"internal/spelling":           arithmetic,
		"internal/decision/push":      arithmetic,
		"internal/simulation":         slices.Concat(arithmetic, []string{"math/rand/v2"}),
		"internal/simulation/tuning":  slices.Concat(arithmetic, []string{"math/rand/v2"}),
		"internal/policy":             arithmetic,
		"internal/migrate/builtin": slices.Concat(arithmetic, []string{
			"crypto/sha256", "encoding/hex", "net", "net/netip", "net/url", "regexp",
		}),
		"internal/migrate/framework": slices.Concat(arithmetic, []string{"regexp"}),
		// YAML is parsed from nodes.
		"internal/policycheck/schema": slices.Concat(arithmetic, []string{"regexp", "unicode/utf8", "go.yaml.in/yaml/v3"}),
		// zones.txt is embedded, and cron and expr only compute.
		"internal/schedule": slices.Concat(arithmetic, []string{"embed", "sort", "github.com/robfig/cron/v3"}),
		"internal/formula": slices.Concat(arithmetic, []string{
			"github.com/expr-lang/expr", "github.com/expr-lang/expr/ast", "github.com/expr-lang/expr/file",
			"github.com/expr-lang/expr/parser", "github.com/expr-lang/expr/vm",
		}),
	}
}

// A goPackage is the output of go list for a package.
type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestImportTable(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", module+"...")
	command.Dir = "../.."
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("list packages: %v\n%s", err, &stderr)
	}
	decoder := json.NewDecoder(bytes.NewReader(output))
	seen := 0
	for {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		checkImports(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if seen < 10 {
		t.Errorf("%d packages were listed; the check did not see the module", seen)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	t.Helper()
	allowed, listed := lookUp(mayImport(), name)
	if !listed {
		t.Errorf("package %s is not in the import table", name)
		return
	}
	standard, isPure := pure()[name]
	for _, imported := range imports {
		own, isOwn := strings.CutPrefix(imported, module)
		switch {
		case isOwn && !matches(allowed, own):
			t.Errorf("package %s may not import %s, only %v", name, own, allowed)
		case !isOwn && isPure && !slices.Contains(standard, imported):
			t.Errorf("package %s is pure and may not import %s", name, imported)
		}
		if home, bound := homes()[imported]; bound && !matches(home, name) {
			t.Errorf("package %s may not import %s, whose home is %v", name, imported, home)
		}
	}
}

// lookUp finds the entry of a package: its own, else that of the longest pattern.
func lookUp(table map[string][]string, name string) (allowed []string, found bool) {
	if allowed, found = table[name]; found {
		return allowed, true
	}
	for i := strings.LastIndex(name, "/"); i > 0; i = strings.LastIndex(name[:i], "/") {
		if allowed, found = table[name[:i]+"/*"]; found {
			return allowed, true
		}
	}
	return nil, false
}

// matches reports whether name is one of patterns; "a/*" matches every package below a.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		below, isPattern := strings.CutSuffix(pattern, "*")
		return pattern == name || isPattern && strings.HasPrefix(name, below)
	})
}
