package cluster

import (
	"context"
	"errors"
)

// KillAPIServer ends kube-apiserver as a power cut would. Everything else runs on, and waits for it.
func (c *Cluster) KillAPIServer() { c.apiServer.Kill() }

// StartAPIServer starts kube-apiserver again at the same address, and returns when it is ready.
func (c *Cluster) StartAPIServer(ctx context.Context) error {
	var err error
	if c.apiServer, err = c.supervisor.Start(c.commands.apiServer); err != nil {
		return err
	}
	return c.waitForAPIServer(ctx)
}

// RestartKEDA kills KEDA's operator and its metrics adapter, as the loss of their node does. It starts them again, and returns
// when they serve metrics.
func (c *Cluster) RestartKEDA(ctx context.Context) error {
	c.operator.Kill()
	c.adapter.Kill()
	var errs [2]error
	c.operator, errs[0] = c.supervisor.Start(c.commands.operator)
	c.adapter, errs[1] = c.supervisor.Start(c.commands.adapter)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return c.waitForKEDA(ctx)
}
