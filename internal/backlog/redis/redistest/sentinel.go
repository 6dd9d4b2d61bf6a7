package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A Group is a master with replicas that sentinels watch.
type Group struct {
	// Name is the name of the master group.
	Name string
	// Servers are the first master and its replicas.
	Servers []*Server
	// Sentinels are the sentinels.
	Sentinels []*Server
}

// How long a master does not answer before it counts as down. Until a test allows a
// failover no master does, so that on a busy machine none is replaced that is only slow.
const (
	neverDown = 3_600_000
	soonDown  = 500
)

// StartSentinel starts a master, two replicas and three sentinels, and waits until
// all know each other. A master that is down is replaced once AllowFailover was called.
func StartSentinel(t testing.TB, options ...Option) *Group {
	t.Helper()
	g := &Group{Name: "mymaster"}
	master := Start(t, append(slices.Clip(options), WithConfig("repl-diskless-sync-delay 0"))...)
	g.Servers = append(g.Servers, master)
	follow := WithConfig("repl-diskless-sync-delay 0", fmt.Sprintf("replicaof %s %d", master.host, master.port))
	for range 2 {
		g.Servers = append(g.Servers, Start(t, append(slices.Clip(options), follow)...))
	}
	for _, r := range g.Servers[1:] {
		Eventually(t, "a replica is in step", func() bool {
			info, err := r.client.Info(t.Context(), "replication").Result()
			return err == nil && strings.Contains(info, "master_link_status:up")
		})
	}
	binary := WithVersion(Version{Path: master.binary})
	for range 3 {
		g.Sentinels = append(g.Sentinels, start(t, []string{"--sentinel"}, []Option{binary, WithConfig(
			fmt.Sprintf("sentinel monitor %s %s %d 2", g.Name, master.host, master.port),
			fmt.Sprintf("sentinel down-after-milliseconds %s %d", g.Name, neverDown),
			"sentinel failover-timeout "+g.Name+" 5000",
			"sentinel parallel-syncs "+g.Name+" 2",
		)}))
	}
	for _, s := range g.Sentinels {
		Eventually(t, "the sentinels know all", func() bool {
			value, err := s.client.Do(t.Context(), "SENTINEL", "MASTER", g.Name).Result()
			text := fmt.Sprint(value)
			return err == nil && strings.Contains(text, "num-slaves 2") && strings.Contains(text, "num-other-sentinels 2")
		})
	}
	return g
}

// AllowFailover makes the sentinels replace a master that is down, after a second or two.
func (g *Group) AllowFailover() {
	for _, s := range g.Sentinels {
		s.Do("SENTINEL", "SET", g.Name, "down-after-milliseconds", soonDown)
	}
}

// Addrs are the addresses of the sentinels.
func (g *Group) Addrs() []string {
	addrs := make([]string, len(g.Sentinels))
	for i, s := range g.Sentinels {
		addrs[i] = s.Addr()
	}
	return addrs
}

// Master returns the server that the first sentinel takes for the master.
func (g *Group) Master(t testing.TB) *Server {
	t.Helper()
	pair, err := g.Sentinels[0].client.Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name).StringSlice()
	if err != nil || len(pair) != 2 {
		t.Fatalf("ask the sentinel for the master: %v %v", pair, err)
	}
	for _, s := range g.Servers {
		if strconv.Itoa(s.port) == pair[1] {
			return s
		}
	}
	t.Fatalf("the sentinel names an unknown master %v", pair)
	return nil
}

// AwaitFailover waits until the sentinels have made another server than old the
// master, and until it says so itself. It returns it. From then on no master counts as
// down.
func (g *Group) AwaitFailover(t testing.TB, old *Server) *Server {
	t.Helper()
	var now *Server
	Eventually(t, "another server is the master", func() bool {
		now = g.Master(t)
		if now == old {
			return false
		}
		info, err := now.client.Info(t.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "role:master")
	})
	for _, s := range g.Sentinels {
		s.Do("SENTINEL", "SET", g.Name, "down-after-milliseconds", neverDown)
	}
	return now
}

// NewClient returns a client that follows the master, closed with the test.
func (g *Group) NewClient(t testing.TB) *redis.Client {
	t.Helper()
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: g.Name, SentinelAddrs: g.Addrs(), Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
