package jetstreamstage

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults.
const (
	freeze   = "server frozen"
	kill     = "server killed"
	handover = "leaders changed on request"
)

// recovery is within what time all is as it should be after an outage: servers elect a leader within
// seconds, the scaler tries again after 6 s at most, and a read and a connection take up to 2 s each.
const recovery = 20 * time.Second

func faults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery, Replaces: true},
		{Name: kill, Weight: 4, Least: 100 * time.Millisecond, Most: 6 * time.Second, Settle: recovery, Replaces: true},
		{Name: handover, Weight: 3, Settle: recovery, Replaces: true},
	}
}

// Cause implements stage.Broker.
func (c *cluster) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	one := c.servers.Nodes[choice%servers]
	// Until other servers lead what it led, writes would block.
	begin, end := func() {
		for _, l := range c.ledgers {
			l.Close()
		}
	}, func() {
		c.await(t)
		for _, l := range c.ledgers {
			l.Open()
		}
	}
	switch fault {
	case freeze:
		begin()
		one.Freeze(t)
		return stage.Trouble{Text: one.Name, End: func() {
			one.Thaw(t)
			end()
		}}
	case kill:
		begin()
		one.Kill()
		return stage.Trouble{Text: one.Name, End: func() {
			one.Restart(t)
			end()
		}}
	case handover:
		begin()
		for _, stream := range names() {
			c.client.Request(t, "$JS.API.STREAM.LEADER.STEPDOWN."+stream)
			c.client.Request(t, "$JS.API.CONSUMER.LEADER.STEPDOWN."+stream+"."+consumer)
		}
		end()
		return stage.Trouble{}
	default:
		t.Fatalf("there is no fault %q of %s", fault, c.name)
		return stage.Trouble{}
	}
}

var errNotYet = errors.New("not yet")

// await waits until each stream and its consumer have a leader and all replicas are in step.
func (c *cluster) await(t testing.TB) {
	t.Helper()
	c.must(t, "servers in step", func(ctx context.Context) error {
		for _, name := range names() {
			stream, err := c.client.JS.Stream(ctx, name)
			if err != nil {
				return err
			}
			info, err := stream.Info(ctx)
			if err != nil {
				return err
			}
			workers, err := stream.Consumer(ctx, consumer)
			if err != nil {
				return err
			}
			own, err := workers.Info(ctx)
			if err != nil {
				return err
			}
			for _, group := range []struct {
				leader   string
				replicas int
			}{{info.Cluster.Leader, len(info.Cluster.Replicas)}, {own.Cluster.Leader, len(own.Cluster.Replicas)}} {
				if group.leader == "" || group.replicas != servers-1 {
					return fmt.Errorf("%s has leader %q and %d replicas: %w", name, group.leader, group.replicas, errNotYet)
				}
			}
			for _, r := range append(info.Cluster.Replicas, own.Cluster.Replicas...) {
				if !r.Current || r.Offline {
					return fmt.Errorf("a replica of %s on %s is behind: %w", name, r.Name, errNotYet)
				}
			}
		}
		return nil
	})
}
