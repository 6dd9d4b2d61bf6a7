// Package tunnel reaches a port of a pod through the API server, as kubectl port-forward does, without
// a listener on this machine.
//
// One connection to the API server carries many connections to the port. It is a WebSocket with SPDY in
// it, or SPDY alone where the API server or a proxy does not take the WebSocket:
// https://kubernetes.io/blog/2024/08/20/websockets-transition/
package tunnel

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	constants "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	httpstreamspdy "k8s.io/streaming/pkg/httpstream/spdy"
)

// errClosed is a tunnel that was closed.
var errClosed = errors.New("the tunnel is closed")

// A Tunnel is the way to one port of one pod. It is safe for concurrent use.
type Tunnel struct {
	config *rest.Config
	url    *url.URL
	// place names the pod and the port in errors.
	place string
	port  string
	// requests counts the connections that were dialled.
	requests atomic.Int64
	// running are the goroutines of the connections.
	running sync.WaitGroup

	// semaphore of one guards session and closed. It is held over I/O.
	semaphore chan struct{}
	session   httpstream.Connection
	closed    bool
}

// New returns the tunnel to a port of a pod. It connects at the first Dial, and again if the connection to
// the API server is lost. Close must be called.
func New(config *rest.Config, namespace, pod string, port int) (*Tunnel, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("use the address of the API server: %w", err)
	}
	return &Tunnel{
		config: config, url: base.JoinPath("api", "v1", "namespaces", namespace, "pods", pod, "portforward"),
		place: fmt.Sprintf("port %d of pod %s/%s", port, namespace, pod), port: strconv.Itoa(port),
		semaphore: make(chan struct{}, 1),
	}, nil
}

// Dial connects to the port. An error of the API server is one of k8s.io/apimachinery/pkg/api/errors. That
// nothing listens at the port is an error of the first read.
func (t *Tunnel) Dial(ctx context.Context) (net.Conn, error) {
	select {
	case t.semaphore <- struct{}{}:
		defer func() { <-t.semaphore }()
	case <-ctx.Done():
		return nil, fmt.Errorf("reach %s: %w", t.place, ctx.Err())
	}
	if t.closed {
		return nil, fmt.Errorf("reach %s: %w", t.place, errClosed)
	}
	if t.session != nil {
		select {
		case <-t.session.CloseChan():
			t.session = nil
		default:
		}
	}
	if t.session == nil {
		var err error
		if t.session, err = t.connect(ctx); err != nil {
			return nil, fmt.Errorf("reach %s: %w", t.place, err)
		}
	}
	c, err := t.open()
	if err != nil {
		// The next attempt connects again.
		_ = t.session.Close()
		t.session = nil
		return nil, fmt.Errorf("reach %s: %w", t.place, err)
	}
	return c, nil
}

// Close ends all connections.
func (t *Tunnel) Close() error {
	t.semaphore <- struct{}{}
	t.closed = true
	if t.session != nil {
		_ = t.session.Close() // it may have been lost
	}
	<-t.semaphore
	t.running.Wait()
	return nil
}

// A dialer is a function as one of client-go.
type dialer func(protocols ...string) (httpstream.Connection, string, error)

// Dial calls the function.
func (d dialer) Dial(protocols ...string) (httpstream.Connection, string, error) {
	return d(protocols...)
}

// connect connects to the API server. Those of client-go know no context, so that an API server that does not
// answer would hold them.
func (t *Tunnel) connect(ctx context.Context) (httpstream.Connection, error) {
	byWebSocket := dialer(func(protocols ...string) (httpstream.Connection, string, error) { return t.webSocket(ctx, protocols) })
	bySPDY := dialer(func(protocols ...string) (httpstream.Connection, string, error) { return t.plainSPDY(ctx, protocols) })
	// kubectl falls back on the same two. There is another IsUpgradeFailure in apimachinery, which is never true here.
	session, protocol, err := portforward.NewFallbackDialerForStreaming(byWebSocket, bySPDY, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}).Dial(portforward.PortForwardProtocolV1Name)
	if err != nil {
		return nil, err
	}
	if protocol != portforward.PortForwardProtocolV1Name {
		return nil, errors.Join(fmt.Errorf("the API server speaks %q, want %q", protocol, portforward.PortForwardProtocolV1Name), session.Close())
	}
	return session, nil
}

func (t *Tunnel) webSocket(ctx context.Context, protocols []string) (httpstream.Connection, string, error) {
	transport, holder, err := websocket.RoundTripperFor(t.config)
	if err != nil {
		return nil, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url.String(), http.NoBody)
	if err != nil {
		return nil, "", err
	}
	offered := make([]string, 0, len(protocols))
	for _, protocol := range protocols {
		offered = append(offered, constants.WebsocketsSPDYTunnelingPrefix+protocol)
	}
	conn, err := websocket.Negotiate(transport, holder, request, offered...)
	if err != nil {
		return nil, "", err
	}
	session, err := httpstreamspdy.NewClientConnectionWithPings(portforward.NewTunnelingConnection("client", conn), portforward.PingPeriod)
	if err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	protocol := conn.Subprotocol()
	if len(protocol) > len(constants.WebsocketsSPDYTunnelingPrefix) {
		protocol = protocol[len(constants.WebsocketsSPDYTunnelingPrefix):]
	}
	return session, protocol, nil
}

func (t *Tunnel) plainSPDY(ctx context.Context, protocols []string) (httpstream.Connection, string, error) {
	transport, upgrader, err := spdy.RoundTripperFor(t.config)
	if err != nil {
		return nil, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url.String(), http.NoBody)
	if err != nil {
		return nil, "", err
	}
	kept := &keeper{RoundTripper: transport}
	session, protocol, err := spdy.NegotiateStreaming(upgrader, &http.Client{Transport: kept}, request, protocols...)
	if err != nil && kept.status != nil {
		err = kept.status
	}
	return session, protocol, err
}

// open opens the two streams of a connection to the port: one for its bytes, and one for an error of the
// node.
func (t *Tunnel) open() (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, t.port)
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.FormatInt(t.requests.Add(1), 10))
	failures, err := t.session.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("open the stream of errors: %w", err)
	}
	// Nothing is written to it.
	if err := failures.Close(); err != nil {
		return nil, fmt.Errorf("open the stream of errors: %w", err)
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := t.session.CreateStream(headers)
	if err != nil {
		t.session.RemoveStreams(failures)
		return nil, fmt.Errorf("open the stream of data: %w", err)
	}
	return t.carry(t.session, data, failures), nil
}
