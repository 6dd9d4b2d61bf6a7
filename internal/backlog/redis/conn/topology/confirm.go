package topology

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/conn/node"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A Confirmation is what the servers of a topology have confirmed.
type Confirmation struct {
	m *SlotMap
	// Failed holds why a server has not confirmed, by its address.
	Failed map[string]error
}

// Confirm asks all servers whether every change was reported that was made before the call.
// See [node.Node.Confirm]. The error is that the servers are not known.
func (t *Topology) Confirm(ctx context.Context) (*Confirmation, error) {
	find := t.Current
	if t.clients != nil {
		// What was armed on a server is worth nothing once another one is the master.
		find = t.Refresh
	}
	m, err := find(ctx)
	if err != nil {
		return nil, err
	}
	c := &Confirmation{m: m, Failed: make(map[string]error)}
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, n := range m.nodes {
		asking.Go(func() {
			if err := t.confirm(ctx, m, n); err != nil {
				mu.Lock()
				defer mu.Unlock()
				c.Failed[n.Address()] = err
			}
		})
	}
	asking.Wait()
	return c, nil
}

// confirm asks one server. A node of a cluster also has to say that it owns exactly the slots
// for which it is read: what is armed on a server is worth nothing once another one has the
// slot.
func (t *Topology) confirm(ctx context.Context, m *SlotMap, n *node.Node) error {
	if t.cfg.Mode == conn.ModeCluster {
		if err := confirmOwner(ctx, n, m.owned(n.Address())); err != nil {
			return err
		}
	}
	return n.Confirm(ctx)
}

// confirmOwner returns nil if a node of a cluster says that it owns exactly these slots. One
// that does not allow the question confirms nothing.
func confirmOwner(ctx context.Context, n *node.Node, want []slotRange) error {
	replies, err := n.Do(ctx, []resp.Command{{Args: []any{"CLUSTER", "NODES"}}}, nil)
	switch {
	case err != nil:
		return err
	case resp.IsDenial(replies[0].Err):
		return errors.ErrUnsupported
	case replies[0].Err != nil:
		return replies[0].Err
	}
	return checkOwner(resp.Text(replies[0].Value), want)
}

// Err returns why servers have not confirmed, nil if all have. It is errors.ErrUnsupported if
// no server confirms anything.
func (c *Confirmation) Err() error {
	unsupported := len(c.Failed) == len(c.m.nodes)
	var all []error
	for _, err := range c.Failed {
		unsupported = unsupported && errors.Is(err, errors.ErrUnsupported)
		all = append(all, err)
	}
	if unsupported && len(all) > 0 {
		return errors.ErrUnsupported
	}
	return errors.Join(all...)
}

// None reports whether no server has confirmed.
func (c *Confirmation) None() bool { return len(c.Failed) == len(c.m.nodes) }

// Covers returns nil if the servers that own some keys have confirmed.
func (c *Confirmation) Covers(keys []string) error {
	addresses, err := c.m.Owners(keys)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if err := c.Failed[address]; err != nil {
			return fmt.Errorf("server %s: %w", address, err)
		}
	}
	return nil
}
