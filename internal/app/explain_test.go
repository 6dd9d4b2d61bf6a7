package app_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// breakages are the rows of the README's table "What happens when things break",
// by their first column. Each causes what the row says and holds what "scaler
// explain" prints to a golden file.
func breakages() map[string]func(*testing.T) {
	return map[string]func(*testing.T){
		"Redis is killed": func(t *testing.T) {
			t.Helper()
			long, short := ref("jobs", "maxStaleness", "1h"), ref("jobs", "maxStaleness", "1s")
			server, s := filled(t, "maxStaleness", "1h")
			later := start(t, standalone(server.Addr()), setup{})
			later.awaitValue(short, known)
			server.Kill()
			awaitGolden(t, "killed", s.polled(long), "stale", "connection refused", "(retry)")
			awaitGolden(t, "killed-later", later.polled(short), "GetMetrics returned Unavailable", "IsActive returned Unavailable", "connection refused", "(retry)")
		},
		"Redis freezes: connected and silent": func(t *testing.T) {
			t.Helper()
			server, s := filled(t)
			server.Freeze()
			t.Cleanup(server.Thaw)
			awaitGolden(t, "frozen", s.polled(ref("jobs")), "stale", "(retry)")
		},
		"Redis goes silent while all queues are idle": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{})
			s.stream(ref("jobs"))
			awaitGolden(t, "quiet", s.polled(ref("jobs")), "(confirmed)", "armed")
			server.Freeze()
			t.Cleanup(server.Thaw)
			awaitGolden(t, "quiet-frozen", s.polled(ref("jobs")), "stale", "(retry)")
		},
		"Redis comes back empty": func(t *testing.T) {
			t.Helper()
			server, s := filled(t)
			server.RestartEmpty()
			awaitGolden(t, "back-empty", s.polled(ref("jobs")), "dataReplaced", "(poll)")
		},
		"Redis is loading, or a replica has no data yet": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			server.Do("REPLICAOF", "127.0.0.1", "1")
			s := start(t, standalone(server.Addr()), setup{})
			awaitGolden(t, "without-data", s.polled(ref("jobs")), "Unavailable", "lost its master", "(retry)")
		},
		"Sentinel promotes another master": func(t *testing.T) {
			t.Helper()
			group := redistest.StartSentinel(t)
			master := group.Master(t)
			fill(master.Do)
			master.Do("WAIT", "2", "5000")
			s := start(t, several(group.Addrs(), "mode: sentinel", "masterName: "+group.Name), setup{})
			r := ref("jobs", "maxStaleness", "1h")
			s.awaitValue(r, known)
			master.Kill()
			awaitGolden(t, "failover-under-way", s.polled(r), "stale", "refused", "(retry)")
			group.AllowFailover()
			promoted := group.AwaitFailover(t, master)
			s.heard(promoted.Do)
			promoted.Do("RPUSH", "jobs", "after the failover")
			awaitGolden(t, "failover", s.polled(r), "51 messages", "armed", "(poll)", "last change reported")
		},
		"A node of a Cluster fails over": func(t *testing.T) {
			t.Helper()
			cluster := redistest.StartCluster(t, 3, 1)
			owner := cluster.Owner(t, "jobs")
			fill(cluster.Masters[owner].Do)
			cluster.Masters[owner].Do("WAIT", "1", "5000")
			s := start(t, several(cluster.Addrs(), "mode: cluster"), setup{})
			r := ref("jobs", "maxStaleness", "1h")
			s.awaitValue(r, known)
			cluster.Masters[owner].Kill()
			awaitGolden(t, "node-down", s.polled(r), "stale", "refused", "(retry)")
			cluster.AllowFailover(owner)
			promoted := cluster.AwaitFailover(t, owner)
			s.heard(func(args ...any) any { return cluster.Do(t, args...) })
			promoted.Do("RPUSH", "jobs", "after the failover")
			awaitGolden(t, "node-failed-over", s.polled(r), "51 messages", "armed", "(poll)", "last change reported")
		},
		"A slot of a Cluster moves to another node": func(t *testing.T) {
			t.Helper()
			cluster := redistest.StartCluster(t, 2, 0)
			owner := cluster.Owner(t, "jobs")
			s := start(t, several(cluster.Addrs(), "mode: cluster"), setup{options: never})
			s.stream(ref("jobs"))
			s.heard(func(args ...any) any { return cluster.Do(t, args...) })
			moved := time.Now()
			cluster.Move(t, "jobs", 1-owner)
			s.lookedAfter(moved)
			awaitGolden(t, "slot-moved", s.polled(ref("jobs")), "(everything)", "armed")
		},
		"A node of a Cluster freezes": func(t *testing.T) {
			t.Helper()
			cluster := redistest.StartCluster(t, 3, 0)
			owner := cluster.Masters[cluster.Owner(t, "jobs")]
			fill(owner.Do)
			s := start(t, several(cluster.Addrs(), "mode: cluster"), setup{})
			r := ref("jobs", "maxStaleness", "1h")
			s.awaitValue(r, known)
			owner.Freeze()
			awaitGolden(t, "node-frozen", s.polled(r), "stale", "(retry)")
			owner.Thaw()
			awaitGolden(t, "node-thawed", s.polled(r), "50 messages", "armed", "(poll)")
		},
		"A node leaves a Cluster, or a sentinel its group, and lives on": func(t *testing.T) {
			t.Helper()
			cluster := redistest.StartCluster(t, 3, 0)
			seed := cluster.Join(t)
			s := start(t, several([]string{seed.Addr()}, "mode: cluster"), setup{options: never})
			s.stream(ref("jobs"))
			owner := cluster.Owner(t, "jobs")
			s.heard(func(args ...any) any { return cluster.Do(t, args...) })
			cluster.Leave(t)
			moved := time.Now()
			cluster.Move(t, "jobs", (owner+1)%len(cluster.Masters))
			s.lookedAfter(moved)
			awaitGolden(t, "node-left", s.polled(ref("jobs")), "(everything)", "armed")
		},
		"A server answers on the wrong side of a partition": func(t *testing.T) {
			t.Helper()
			cluster := redistest.StartCluster(t, 3, 0, redistest.WithConfig("cluster-allow-reads-when-down yes"))
			owner := cluster.Owner(t, "jobs")
			fill(cluster.Masters[owner].Do)
			s := start(t, several(cluster.Addrs(), "mode: cluster"), setup{})
			r := ref("jobs", "maxStaleness", "1h")
			s.awaitValue(r, known)
			for i, m := range cluster.Masters {
				if i != owner {
					m.Freeze()
				}
			}
			cluster.Masters[owner].Do("CONFIG", "SET", "cluster-node-timeout", 1000)
			awaitGolden(t, "cut-off", s.polled(r), "stale", "(retry)")
		},
		"The password is rotated": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t, redistest.WithConfig("user scaler on >first ~* &* +@all"))
			server.Do("RPUSH", "jobs", "a")
			secret := filepath.Join(t.TempDir(), "password")
			replaceFile(t, secret, "first\n")
			s := start(t, standalone(server.Addr(), "username: scaler", "password: {file: "+secret+"}"), setup{})
			s.awaitValue(ref("jobs"), 1)
			server.Do("ACL", "SETUSER", "scaler", "<first", ">second")
			server.Do("CLIENT", "KILL", "USER", "scaler")
			awaitGolden(t, "password-refused", s.polled(ref("jobs")), "stale", "WRONGPASS", "(retry)")
			server.Do("RPUSH", "jobs", "b")
			replaceFile(t, secret, "second\n")
			awaitGolden(t, "password-rotated", s.polled(ref("jobs")), "GetMetrics returned 2 messages", "armed", "(poll)")
		},
		"The credentials are revoked": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t, redistest.WithConfig("user scaler on >secret ~* &* +@all"))
			fill(server.Do)
			s := start(t, standalone(server.Addr(), user(t)...), setup{})
			s.awaitValue(ref("jobs"), known)
			server.Do("ACL", "SETUSER", "scaler", "-@all")
			awaitGolden(t, "revoked", s.polled(ref("jobs")), "stale", "denied", "(retry)")
		},
		"The configuration file is broken by an edit": func(t *testing.T) {
			t.Helper()
			server, s := filled(t)
			s.configure(standalone(server.Addr()) + "    usrname: x\n")
			awaitGolden(t, "configuration-broken", s.polled(ref("jobs")), "usrname", "(poll)")
		},
		"A key is not what the trigger says": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			server.Do("SET", "jobs", "not a list")
			s := start(t, standalone(server.Addr()), setup{})
			awaitGolden(t, "mismatch", s.polled(ref("jobs")), "FailedPrecondition", "(retry)")
		},
		"A trigger has a typo": func(t *testing.T) {
			t.Helper()
			_, s := filled(t)
			awaitGolden(t, "typo", s.polled(ref("jobs", "tagret", "20", "passwordFromEnv", "secret")), "InvalidArgument", "(poll)")
		},
		"A namespace names a connection that is not for it": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			s := start(t, strings.Replace(standalone(server.Addr()), "['*']", "['team-*']", 1), setup{})
			awaitGolden(t, "namespace", s.polled(ref("jobs")), "PermissionDenied")
		},
		"A message arrives between two polls": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{options: undisturbed})
			s.stream(ref("jobs"))
			s.heard(server.Do)
			server.Do("RPUSH", "jobs", "a")
			awaitGolden(t, "woken", func() string {
				_, text := s.explanation()
				return text
			}, "became non-empty T ago (wake-up)", "last attempt T ago (poll)", "StreamIsActive returned active")
		},
		"Redis forgets which keys it tracks (lost connection, restart, `FLUSHALL`)": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{options: never})
			s.stream(ref("jobs"))
			s.heard(server.Do)
			flushed := time.Now()
			server.Do("FLUSHALL")
			s.lookedAfter(flushed)
			awaitGolden(t, "forgotten", s.polled(ref("jobs")), "(everything)", "armed")
		},
		"Redis refuses client tracking": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			server.Do("ACL", "SETUSER", "scaler", "on", ">secret", "~*")
			server.Do(append([]any{"ACL", "SETUSER", "scaler"}, rules(redis.ACLRules+" resetchannels")...)...)
			s := start(t, standalone(server.Addr(), user(t)...), setup{})
			awaitGolden(t, "no-tracking", s.polled(ref("jobs")), "fallback reason", "(poll)")
		},
		"Redis cannot tell the lag of a consumer group": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			for i := range 9 {
				server.Do("XADD", "orders", fmt.Sprintf("%d-1", i+1), "k", "v")
			}
			server.Do("XGROUP", "CREATE", "orders", "billing", "0")
			server.Do("XREADGROUP", "GROUP", "billing", "one", "COUNT", "2", "STREAMS", "orders", ">")
			server.Do("XDEL", "orders", "5-1")
			s := start(t, standalone(server.Addr()), setup{})
			stream := &pb.ScaledObjectRef{Name: "worker", Namespace: "shop", ScalerMetadata: map[string]string{
				"connection": "main", "stream": "orders", "consumerGroup": "billing",
			}}
			awaitGolden(t, "lag-unknown", s.polled(stream), "upper bound", "(poll)")
		},
		"KEDA drops an activation": func(t *testing.T) {
			t.Helper()
			server := redistest.Start(t)
			s := start(t, standalone(server.Addr()), setup{options: undisturbed})
			s.stream(ref("jobs"))
			s.heard(server.Do)
			server.Do("RPUSH", "jobs", "a")
			redistest.Eventually(t, "active is said again", func() bool {
				response, _ := s.explanation()
				all := response.GetExplanations()[0].GetCallHistory().GetLastResponses()
				if len(all) == 0 {
					return false
				}
				told := all[0]
				return told.GetActive() && told.GetAt().AsTime().Sub(told.GetUnchangedSince().AsTime()) > time.Second
			})
			awaitGolden(t, "repeated", func() string {
				_, text := s.explanation()
				return text
			}, "last attempt T ago (poll)")
		},
		"The scaler is stopped, or crashes": func(t *testing.T) {
			t.Helper()
			_, s := filled(t)
			s.stop()
			awaitGolden(t, "stopped", func() string {
				_, text := s.explanation()
				return text
			})
		},
		"The scaler is upgraded, one replica at a time": func(t *testing.T) {
			t.Helper()
			server, before := filled(t)
			after := start(t, standalone(server.Addr()), setup{})
			awaitGolden(t, "upgraded", func() string {
				_, text := after.explanation()
				return text
			})
			before.stop()
			awaitGolden(t, "upgraded-later", after.polled(ref("jobs")), "(poll)")
		},
		"A thousand triggers point at one Redis": func(t *testing.T) {
			t.Helper()
			_, s := filled(t)
			for i := range 1000 {
				r := ref("jobs", "target", strconv.Itoa(i+1))
				r.Name = fmt.Sprint("worker-", i)
				if _, err := s.client.IsActive(t.Context(), r); err != nil {
					t.Fatal(err)
				}
			}
			explain := func(name string) func() string {
				return func() string {
					_, text := explained(t, s.app.AdminAddr().String(), name)
					return text
				}
			}
			awaitGolden(t, "thousand", explain("worker-9"), "(poll)")
			awaitGolden(t, "thousand-unknown", explain("wroker"))
		},
	}
}

// undisturbed makes regular reads of idle queues so rare that none comes between a
// change and its wake-up.
func undisturbed(o *app.Options) { o.Sampling.SafetyInterval = 1000 * time.Hour }

// never does the same to regular reads of all queues, which would hide what caused the
// read before them.
func never(o *app.Options) {
	undisturbed(o)
	o.Sampling.ActiveInterval = 1000 * time.Hour
}

// filled starts a server with a list of known messages and a scaler that has read
// it; metadata of the trigger is in pairs.
func filled(t *testing.T, pairs ...string) (*redistest.Server, *scaler) {
	t.Helper()
	server := redistest.Start(t)
	fill(server.Do)
	s := start(t, standalone(server.Addr()), setup{})
	s.awaitValue(ref("jobs", pairs...), known)
	return server, s
}

// user are the settings of a user whose password is secret.
func user(t *testing.T) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "password")
	replaceFile(t, file, "secret\n")
	return []string{"username: scaler", "password: {file: " + file + "}"}
}

// rules are words of access control.
func rules(text string) []any {
	var all []any
	for word := range strings.FieldsSeq(text) {
		all = append(all, word)
	}
	return all
}

func TestExplainBreakages(t *testing.T) {
	t.Parallel()
	for row, cause := range breakages() {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			cause(t)
		})
	}
}

// TestBreakagesAreTheReadmes: every row of the README's table is explained.
func TestBreakagesAreTheReadmes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(data), "## What happens when things break")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []string
	for _, match := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(section, -1) {
		if row := match[1]; row != "what breaks" && row != "---" {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	if diff := cmp.Diff(rows, slices.Sorted(maps.Keys(breakages()))); diff != "" {
		t.Errorf("rows of the README that are not explained, or the other way round (-README +explained):\n%s", diff)
	}
}
