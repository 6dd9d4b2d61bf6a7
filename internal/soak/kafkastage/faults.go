package kafkastage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/backlog-scaler/backlog-scaler/internal/soak/plan"
	"github.com/backlog-scaler/backlog-scaler/internal/soak/stage"
)

// Names of the faults.
const (
	freeze   = "broker frozen"
	kill     = "broker killed and replaced"
	handover = "leaders changed on request"
	rights   = "rights taken away"
)

// recovery is within what time all is as it should be after an outage: the scaler tries again after
// 6 s at most, and a read and a connection take up to 2 s each.
const recovery = 15 * time.Second

func faults() []plan.Fault {
	return []plan.Fault{
		{Name: freeze, Weight: 4, Least: 500 * time.Millisecond, Most: 12 * time.Second, Settle: recovery, Replaces: true},
		{Name: kill, Weight: 4, Least: 100 * time.Millisecond, Most: 6 * time.Second, Settle: recovery, Replaces: true},
		{Name: handover, Weight: 3, Settle: recovery, Replaces: true},
		// What was refused is read again after 10 s.
		{Name: rights, Weight: 3, Least: 2 * time.Second, Most: 10 * time.Second, Settle: 10*time.Second + recovery},
	}
}

// Cause implements stage.Broker.
func (c *cluster) Cause(t testing.TB, fault string, choice uint64) stage.Trouble {
	t.Helper()
	one := c.servers.Brokers[choice%brokers]
	text := strconv.Itoa(int(one.ID))
	switch fault {
	case freeze:
		// It takes no writes: until another broker leads its partitions they would block.
		c.close()
		one.Freeze(t)
		return stage.Trouble{Text: text, End: func() {
			one.Thaw(t)
			c.await(t)
			c.open()
		}}
	case kill:
		one.Kill()
		c.down = one.ID
		c.await(t)
		return stage.Trouble{Text: text, End: func() {
			one.Restart(t)
			c.down = 0
			c.await(t)
		}}
	case handover:
		c.handover(t, choice)
		c.await(t)
		return stage.Trouble{}
	case rights:
		c.revoke(t)
		return stage.Trouble{End: func() { c.grant(t) }}
	default:
		t.Fatalf("there is no fault %q of %s", fault, c.name)
		return stage.Trouble{}
	}
}

func (c *cluster) close() {
	for _, l := range c.ledgers {
		l.Close()
	}
}

func (c *cluster) open() {
	for _, l := range c.ledgers {
		l.Open()
	}
}

// handover makes another broker the leader of each partition, in an order that the choice decides.
func (c *cluster) handover(t testing.TB, choice uint64) {
	t.Helper()
	c.must(t, "other leaders", func(ctx context.Context) error {
		var assignments kadm.AlterPartitionAssignmentsReq
		topicsSet := make(kadm.TopicsSet)
		for topic, partitions := range topics() {
			for partition := range partitions {
				first := int32((choice + uint64(partition)) % brokers)
				var order []int32
				for i := range int32(brokers) {
					order = append(order, (first+i)%brokers+1)
				}
				assignments.Assign(topic, partition, order)
				topicsSet.Add(topic, partition)
			}
		}
		answers, err := c.client.Admin.AlterPartitionAssignments(ctx, assignments)
		if err == nil {
			err = answers.Error()
		}
		if err != nil {
			return err
		}
		elected, err := c.client.Admin.ElectLeaders(ctx, kadm.ElectPreferredReplica, topicsSet)
		if err != nil {
			return err
		}
		for _, partitions := range elected {
			for _, one := range partitions {
				if one.Err != nil && !errors.Is(one.Err, kerr.ElectionNotNeeded) {
					return one.Err
				}
			}
		}
		return nil
	})
}

// await waits until each partition has a leader that runs and all replicas that can be in step, and
// the offsets of the groups can be read.
func (c *cluster) await(t testing.TB) {
	t.Helper()
	c.must(t, "brokers in step", func(ctx context.Context) error {
		// The internal topics have the offsets of the groups.
		details, err := c.client.Admin.ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		var wrong error
		details.EachPartition(func(p kadm.PartitionDetail) {
			if want := c.running(); p.Leader < 1 || p.Leader == c.down || len(p.ISR) != want {
				wrong = fmt.Errorf("partition %d of %s is led by %d, and %v of %d are in step: %w", p.Partition, p.Topic, p.Leader, p.ISR, want, errNotYet)
			}
		})
		if wrong != nil {
			return wrong
		}
		for _, topic := range names() {
			ends, err := c.client.Admin.ListEndOffsets(ctx, topic)
			if err == nil {
				err = ends.Error()
			}
			if err != nil {
				return err
			}
			if _, err := c.client.Admin.FetchOffsets(ctx, group(topic)); err != nil {
				return err
			}
		}
		return nil
	})
}

var errNotYet = errors.New("not yet")

// running is how many brokers run.
func (c *cluster) running() int {
	if c.down != 0 {
		return brokers - 1
	}
	return brokers
}
