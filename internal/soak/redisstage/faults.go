package redisstage

import (
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults that all topologies have.
const (
	flush       = "FLUSHALL"
	killClients = "connections of the scaler killed"
	evict       = "tracking table too small"
	notify      = "keyspace notifications switched"
	rotate      = "password changed, and the file too"
	revoke      = "password changed without the file"
	rights      = "rights taken away"
)

// recovery is within what time all is as it should be after an outage: the scaler tries
// again after 6 s at most, and a read and a connection take up to 2 s each.
const recovery = 15 * time.Second

func commonFaults() []plan.Fault {
	return []plan.Fault{
		{Name: flush, Weight: 2, Settle: 3 * time.Second},
		{Name: killClients, Weight: 4, Settle: 5 * time.Second},
		{Name: evict, Weight: 3, Least: 5 * time.Second, Most: 10 * time.Second, Settle: 3 * time.Second, Lasting: true},
		{Name: notify, Weight: 1, Least: 4 * time.Second, Most: 8 * time.Second, Settle: 3 * time.Second, Lasting: true},
		// The file is read each second, and counts when two reads agree.
		{Name: rotate, Weight: 2, Settle: recovery},
		{Name: revoke, Weight: 2, Least: 2 * time.Second, Most: 12 * time.Second, Settle: recovery},
		// What was refused is read again after 10 s.
		{Name: rights, Weight: 2, Least: 2 * time.Second, Most: 12 * time.Second, Settle: 10*time.Second + recovery},
	}
}

// cause causes a fault that all topologies have.
func (c *common) cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	switch fault {
	case flush:
		done := c.emptied()
		c.each(func(s *redistest.Server) {
			if isMaster(s) {
				s.Do("FLUSHALL")
			}
		})
		done()
		return stage.Trouble{}
	case killClients:
		return c.killClients(choice)
	case evict:
		// Hundreds of keys are tracked.
		c.setting("tracking-table-max-keys", 1+choice%20)
		return stage.Trouble{End: func() { c.setting("tracking-table-max-keys", 1_000_000) }}
	case notify:
		c.setting("notify-keyspace-events", "")
		return stage.Trouble{End: func() { c.setting("notify-keyspace-events", "KA") }}
	case rotate:
		c.number++
		c.setPassword()
		c.killUser()
		c.writeSecret(t)
		return stage.Trouble{}
	case revoke:
		c.number++
		c.setPassword()
		c.killUser()
		return stage.Trouble{End: func() { c.writeSecret(t) }}
	case rights:
		c.acl("-@all")
		return stage.Trouble{End: func() { c.acl("+@all") }}
	default:
		t.Fatalf("there is no fault %q of %s", fault, c.name)
		return stage.Trouble{}
	}
}

func (c *common) each(do func(*redistest.Server)) {
	for _, s := range c.servers() {
		do(s)
	}
}

func (c *common) setting(name string, value any) {
	c.each(func(s *redistest.Server) { s.Do("CONFIG", "SET", name, value) })
}

func (c *common) acl(rule string) {
	c.each(func(s *redistest.Server) { s.Do("ACL", "SETUSER", scalerUser, rule) })
}

func (c *common) killUser() {
	c.each(func(s *redistest.Server) { s.Do("CLIENT", "KILL", "USER", scalerUser) })
}

// killClients kills connections of the scaler that listen, those that read, or both.
func (c *common) killClients(choice uint64) stage.Trouble {
	kinds := [][]string{{"pubsub"}, {"normal"}, {"pubsub", "normal"}}[choice%3]
	c.each(func(s *redistest.Server) {
		for _, kind := range kinds {
			s.Do("CLIENT", "KILL", "TYPE", kind, "USER", scalerUser)
		}
	})
	return stage.Trouble{Text: "those of kind " + kinds[0]}
}

// isMaster reports whether a server is no replica.
func isMaster(s *redistest.Server) bool {
	role, _ := s.Do("ROLE").([]any)
	return len(role) > 0 && role[0] == "master"
}
