// Package fakekubelet stands in for a kubelet with pods whose ports lead to processes of a run. Port-forwards are served by the
// kubelet's own package, k8s.io/cri-streaming, to which kube-apiserver connects as it does to any node.
package fakekubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/cri-streaming/pkg/streaming/portforward"

	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
)

// The timeouts of a kubelet.
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/staging/src/k8s.io/cri-streaming/pkg/streaming/remotecommand/constants.go
const (
	idleTimeout     = 4 * time.Hour
	creationTimeout = 30 * time.Second
)

// node is the name of the Node.
const node = "e2e-node"

// Options say how to run a kubelet.
type Options struct {
	Client kubernetes.Interface
	// Cert and Key are the files of its certificate, and CA is that of the authority of its clients.
	Cert, Key, CA string
}

// A Kubelet runs pods until Close.
type Kubelet struct {
	client kubernetes.Interface
	server *http.Server
	ended  chan error

	mu sync.Mutex // guards addresses
	// addresses are where the ports of a pod lead.
	addresses map[types.NamespacedName]string
}

// Start makes a Node and serves it.
func Start(ctx context.Context, o Options) (*Kubelet, error) {
	certificate, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of the kubelet: %w", err)
	}
	ca, err := os.ReadFile(filepath.Clean(o.CA))
	if err != nil {
		return nil, fmt.Errorf("read the authority of the kubelet: %w", err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen as a kubelet: %w", err)
	}
	k := &Kubelet{client: o.Client, ended: make(chan error, 1), addresses: make(map[types.NamespacedName]string)}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.forward)
	k.server = &http.Server{
		Handler: mux, ReadHeaderTimeout: creationTimeout,
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{certificate}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
			MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, // SPDY takes over the connection
		},
	}
	go func() { k.ended <- k.server.ServeTLS(listener, "", "") }()
	if err := k.register(ctx, listener.Addr()); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// register makes the Node, whose address is that of the kubelet.
func (k *Kubelet) register(ctx context.Context, address net.Addr) error {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("register the node: %s has no port", address)
	}
	made, err := k.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	made.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: tcp.IP.String()}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(tcp.Port)}},
		Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	if _, err := k.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	return nil
}

// Close ends all port-forwards.
func (k *Kubelet) Close() error {
	err := k.server.Close()
	if ended := <-k.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// Run makes a pod that is ready, and all of whose ports lead to an address.
func (k *Kubelet) Run(ctx context.Context, pod *corev1.Pod, address string) error {
	pod.Spec.NodeName = node
	name := types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}
	k.mu.Lock()
	k.addresses[name] = address
	k.mu.Unlock()
	if _, err := k.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("make pod %s: %w", name, err)
	}
	return workload.RunPod(ctx, k.client, name)
}

// Delete deletes a pod at once.
func (k *Kubelet) Delete(ctx context.Context, namespace, name string) error {
	if err := k.client.CoreV1().Pods(namespace).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
		return fmt.Errorf("delete pod %s/%s: %w", namespace, name, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.addresses, types.NamespacedName{Namespace: namespace, Name: name})
	return nil
}

func (k *Kubelet) forward(w http.ResponseWriter, r *http.Request) {
	name := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("pod")}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{k, name}, name.Name, "", options, idleTimeout, creationTimeout, portforward.SupportedProtocols)
}

// A forwarder forwards the ports of a pod.
type forwarder struct {
	kubelet *Kubelet
	pod     types.NamespacedName
}

// PortForward carries one connection, as a container runtime does.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	f.kubelet.mu.Lock()
	address, found := f.kubelet.addresses[f.pod]
	f.kubelet.mu.Unlock()
	if !found {
		return fmt.Errorf("pod %s is not running", f.pod)
	}
	target, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside the pod: %w", port, err)
	}
	defer func() { _ = target.Close() }()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(target, stream)
		_ = target.Close()
	}()
	_, _ = io.Copy(stream, target)
	_ = stream.Close()
	_ = target.Close()
	<-sent
	return nil
}
