// Package redisstage lets a soak run on the engine redis: one server, Sentinel and
// Cluster, with the queues of all layouts.
package redisstage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Topologies are all of the engine.
func Topologies() []stage.Topology {
	return []stage.Topology{Single(), Sentinel(), Cluster()}
}

// scalerUser is the user of the scaler.
const scalerUser = "scaler"

// reopen makes the scaler open a connection again.
const reopen = "clientName: backlog-scaler-renamed"

// shape is that of a topology with the queues of all layouts.
func shape(name string, faults ...[]plan.Fault) plan.Shape {
	s := plan.Shape{Topology: name}
	for _, l := range layouts() {
		s.Queues = append(s.Queues, l.shape())
	}
	for _, f := range faults {
		s.Faults = append(s.Faults, f...)
	}
	return s
}

// version returns one that the seed chooses. Before Redis 7 some counts are bounds only.
func version(t testing.TB, seed uint64) redistest.Version {
	t.Helper()
	var all []redistest.Version
	for _, v := range redistest.Versions(t) {
		if !v.Before(7, 0) {
			all = append(all, v)
		}
	}
	return all[seed%uint64(len(all))]
}

// A common is what all topologies have: queues, and the user of the scaler.
type common struct {
	name, title string
	queues      []*queue
	staged      []*stage.Queue
	// servers returns those that hold data and run.
	servers func() []*redistest.Server
	writers map[*redistest.Server]*redis.Client

	// secret is the file with the password of the scaler, which has the given number.
	secret string
	number int
}

func newCommon(t testing.TB, name string, v redistest.Version, client func(key string) *redis.Client) *common {
	t.Helper()
	c := &common{name: name, title: name + " on " + v.Name, writers: map[*redistest.Server]*redis.Client{}, secret: filepath.Join(t.TempDir(), "password")}
	for _, l := range layouts() {
		// Before Redis 7.4.4 the lag of a group may be too high.
		l.atMost = l.group && v.Before(8, 0)
		q := newQueue(l, client)
		c.queues = append(c.queues, q)
		c.staged = append(c.staged, q.staged(name))
	}
	c.writeSecret(t)
	return c
}

// Name implements stage.Broker.
func (c *common) Name() string { return c.title }

// Queues implements stage.Broker.
func (c *common) Queues() []*stage.Queue { return c.staged }

// userLine is the line of the configuration of servers with the user of the scaler.
func userLine() string { return "user " + scalerUser + " on >" + password(0) + " ~* &* +@all" }

func password(number int) string { return fmt.Sprintf("soak-%d", number) }

// setPassword makes the servers demand the password in force.
func (c *common) setPassword() {
	for _, s := range c.servers() {
		s.Do("ACL", "SETUSER", scalerUser, "resetpass", ">"+password(c.number))
	}
}

// writeSecret writes the password in force where the scaler finds it.
func (c *common) writeSecret(t testing.TB) {
	t.Helper()
	next := c.secret + ".next"
	if err := os.WriteFile(next, []byte(password(c.number)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, c.secret); err != nil {
		t.Fatal(err)
	}
}

// login are the lines of a connection.
func (c *common) login(addresses []string, more ...string) []string {
	return append([]string{
		"engine: redis", "namespaces: ['*']", "addresses: ['" + strings.Join(addresses, "', '") + "']",
		"username: " + scalerUser, "password: {file: " + c.secret + "}",
	}, more...)
}

// writer returns the client that writes to a server.
func (c *common) writer(s *redistest.Server) *redis.Client {
	w := c.writers[s]
	if w == nil {
		w = s.NewClient(func(o *redis.Options) {
			o.DialTimeout, o.ReadTimeout, o.WriteTimeout = writeTimeout, writeTimeout, writeTimeout
		})
		c.writers[s] = w
	}
	return w
}

// Connections implements stage.Broker.
func (c *common) Connections(ctx context.Context) (n int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	for _, s := range c.servers() {
		text, err := s.Client().ClientList(ctx).Result()
		if err != nil {
			return 0, false
		}
		n += strings.Count(text, "name=backlog-scaler")
	}
	return n, true
}

// emptied notes that all queues are being emptied, and returns what notes that they are.
func (c *common) emptied() (done func()) {
	var all []func(time.Time)
	at := time.Now()
	for _, q := range c.queues {
		all = append(all, q.emptied(at))
	}
	return func() {
		at := time.Now()
		for _, done := range all {
			done(at)
		}
	}
}
