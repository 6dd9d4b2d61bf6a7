package kubetest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	gorilla "github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	constants "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// A session is a connection of a client to a pod.
type session struct {
	address string

	mu       sync.Mutex // guards what follows
	streams  map[string]httpstream.Stream
	closer   func() error
	running  sync.WaitGroup
	finished context.Context //nolint:containedctx // its end is that of the session
	finish   context.CancelFunc
}

// close ends the session.
func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish()
	if s.closer != nil {
		_ = s.closer()
	}
}

func (s *Server) portforward(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	verb, kind := "create", "spdy"
	if gorilla.IsWebSocketUpgrade(r) {
		verb, kind = "get", "websocket"
	}
	if !s.allowed(w, verb, namespace) {
		return
	}
	pod, found := s.pod(namespace, name)
	if !found {
		answer(w, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("pods %q not found", name))
		return
	}
	s.mu.Lock()
	refused := kind == "websocket" && s.noWebSocket
	if !refused {
		s.asked = append(s.asked, "forward "+kind+" "+namespace+"/"+name)
	}
	s.mu.Unlock()
	if refused {
		http.Error(w, "unable to upgrade", http.StatusBadRequest)
		return
	}
	open := &session{address: pod.Address, streams: make(map[string]httpstream.Stream)}
	open.finished, open.finish = context.WithCancel(context.WithoutCancel(r.Context()))
	connection := open.upgrade(w, r, kind)
	if connection == nil {
		open.finish()
		return
	}
	open.mu.Lock()
	open.closer = connection.Close
	open.mu.Unlock()
	s.mu.Lock()
	s.sessions[open] = struct{}{}
	s.mu.Unlock()
	select {
	case <-connection.CloseChan():
	case <-open.finished.Done():
	}
	open.close()
	open.running.Wait()
	s.mu.Lock()
	delete(s.sessions, open)
	s.mu.Unlock()
}

// upgrade makes a connection of streams of a request; nil if it has answered it.
func (s *session) upgrade(w http.ResponseWriter, r *http.Request, kind string) httpstream.Connection {
	if kind == "spdy" {
		if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
			return nil
		}
		return spdy.NewResponseUpgrader().UpgradeResponse(w, r, s.accept)
	}
	upgrader := gorilla.Upgrader{Subprotocols: []string{constants.WebsocketsSPDYTunnelingPrefix + portforward.PortForwardProtocolV1Name}}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil
	}
	connection, err := spdy.NewServerConnection(portforward.NewTunnelingConnection("server", conn), s.accept)
	if err != nil {
		_ = conn.Close()
		return nil
	}
	return connection
}

// accept takes a stream. When both streams of a request are there it is forwarded.
func (s *session) accept(stream httpstream.Stream, replySent <-chan struct{}) error {
	id := stream.Headers().Get(corev1.PortForwardRequestIDHeader)
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
		s.streams[id] = stream
		return nil
	}
	failures := s.streams[id]
	delete(s.streams, id)
	if failures == nil {
		return fmt.Errorf("request %s has no stream of errors", id)
	}
	s.running.Go(func() {
		<-replySent
		s.forward(stream, failures)
	})
	return nil
}

// forward carries one connection, and reports as a kubelet does that the port does not answer.
func (s *session) forward(data, failures httpstream.Stream) {
	defer func() {
		_ = data.Close()
		_ = failures.Close()
	}()
	port := data.Headers().Get(corev1.PortHeader)
	target, err := new(net.Dialer).DialContext(s.finished, "tcp", s.address)
	if err != nil {
		_, _ = fmt.Fprintf(failures, "an error occurred forwarding %s -> %s: error forwarding port %s to pod: %v", port, port, port, err)
		return
	}
	stop := context.AfterFunc(s.finished, func() { _ = target.Close() })
	defer stop()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(target, data)
		_ = target.Close()
	}()
	_, _ = io.Copy(data, target)
	_ = target.Close()
	_ = data.Close()
	_ = data.Reset()
	<-sent
}
