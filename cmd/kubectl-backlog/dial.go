package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/backlog-scaler/backlog-scaler/internal/kube/kubectl"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/releases"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/tunnel"
	"github.com/backlog-scaler/backlog-scaler/internal/replicas"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// podName names a pod in notes and errors.
func podName(pod releases.Pod) string { return "pod " + pod.Namespace + "/" + pod.Name }

// A podClient is the inspector of a pod, through a tunnel of its own.
type podClient struct {
	*inspector.Client

	tunnel *tunnel.Tunnel
}

// Close ends the connection.
func (c podClient) Close() error { return errors.Join(c.Client.Close(), c.tunnel.Close()) }

// dial connects to a pod, so that an error is the one of the API server, and not what a client of gRPC makes of it.
func dial(ctx context.Context, a kubectl.Access, pod releases.Pod) (podClient, error) {
	t, err := tunnelTo(a, pod)
	if err != nil {
		return podClient{}, err
	}
	connected, err := t.Dial(ctx)
	if err != nil {
		return podClient{}, errors.Join(err, t.Close())
	}
	first := make(chan net.Conn, 1)
	first <- connected
	client, err := inspector.NewClientOver(podName(pod), func(ctx context.Context) (net.Conn, error) {
		select {
		case c := <-first:
			return c, nil
		default:
			return t.Dial(ctx)
		}
	})
	if err != nil {
		return podClient{}, errors.Join(err, t.Close())
	}
	return podClient{client, t}, nil
}

// dialAll connects to pods at once, and returns those that were reached, in order, and the errors of the others.
func dialAll(ctx context.Context, a kubectl.Access, pods []releases.Pod) (reached []replicas.Replica, failed []error) {
	clients, errs := make([]podClient, len(pods)), make([]error, len(pods))
	var dials sync.WaitGroup
	for i, pod := range pods {
		dials.Go(func() { clients[i], errs[i] = dial(ctx, a, pod) })
	}
	dials.Wait()
	for i, pod := range pods {
		if errs[i] != nil {
			failed = append(failed, errs[i])
			continue
		}
		reached = append(reached, replicas.Replica{Name: podName(pod), Scaler: clients[i]})
	}
	return reached, failed
}
