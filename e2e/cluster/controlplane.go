package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// loopback is where every server of a run listens.
const loopback = "127.0.0.1"

// startEtcd starts the store and returns its client address.
func (c *Cluster) startEtcd(binary string) (string, error) {
	ports, err := childprocess.FreePorts(loopback, 2)
	if err != nil {
		return "", err
	}
	clients, peers := "http://"+address(ports[0]), "http://"+address(ports[1])
	_, err = c.supervisor.Start(childprocess.Command{
		Name: "etcd", Path: binary, Args: []string{
			"--name=e2e",
			"--data-dir=" + filepath.Join(c.dir, "etcd"),
			"--listen-client-urls=" + clients,
			"--advertise-client-urls=" + clients,
			"--listen-peer-urls=" + peers,
			"--initial-advertise-peer-urls=" + peers,
			"--initial-cluster=e2e=" + peers,
			"--unsafe-no-fsync", // the data dies with the run
			"--log-level=warn",
		},
	})
	return clients, err
}

// startAPIServer starts kube-apiserver, writes the administrator's kubeconfig and waits until it is ready.
func (c *Cluster) startAPIServer(ctx context.Context, binary, etcd string) error {
	ports, err := childprocess.FreePorts(loopback, 1)
	if err != nil {
		return err
	}
	serving, err := c.ca.issue("kube-apiserver")
	if err != nil {
		return err
	}
	proxy, err := c.ca.issue("front-proxy-client")
	if err != nil {
		return err
	}
	kubelet, err := c.ca.issue("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return err
	}
	c.serviceAccount, err = c.ca.issue("service-account")
	if err != nil {
		return err
	}
	audit, err := c.writeAuditPolicy()
	if err != nil {
		return err
	}
	c.commands.apiServer = childprocess.Command{
		// It waits for its watches to end; no test needs that.
		Name: "kube-apiserver", Path: binary, Grace: 10 * time.Second, Env: []string{
			"GOGC=300", // collecting garbage was a third of the time that it took to make a thousand ScaledObjects
		}, Args: []string{
			"--etcd-servers=" + etcd,
			"--bind-address=" + loopback,
			"--secure-port=" + strconv.Itoa(ports[0]),
			"--service-cluster-ip-range=10.0.0.0/24",
			"--tls-cert-file=" + serving.cert,
			"--tls-private-key-file=" + serving.key,
			"--client-ca-file=" + c.ca.caFile,
			"--service-account-key-file=" + c.serviceAccount.cert,
			"--service-account-signing-key-file=" + c.serviceAccount.key,
			"--service-account-issuer=https://kubernetes.default.svc",
			"--authorization-mode=RBAC",
			"--requestheader-client-ca-file=" + c.ca.caFile,
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-username-headers=X-Remote-User",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file=" + proxy.cert,
			"--proxy-client-key-file=" + proxy.key,
			"--kubelet-client-certificate=" + kubelet.cert,
			"--kubelet-client-key=" + kubelet.key,
			"--kubelet-certificate-authority=" + c.ca.caFile,
			"--disable-admission-plugins=ServiceAccount",
			"--endpoint-reconciler-type=none",
			"--shutdown-delay-duration=0s",
			"--audit-policy-file=" + audit,
			"--audit-log-path=" + c.auditLog(),
		},
	}
	c.server = "https://" + address(ports[0])
	if err := c.connect(); err != nil {
		return err
	}
	return c.StartAPIServer(ctx)
}

// waitForAPIServer asks /readyz.
func (c *Cluster) waitForAPIServer(ctx context.Context) error {
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return fmt.Errorf("make client of kube-apiserver: %w", err)
	}
	return childprocess.Poll(ctx, "kube-apiserver", 60*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		return getOK(ctx, client, c.config.Host+"/readyz")
	})
}

// startControllerManager starts only the controllers that a Deployment, its HPA and a Job need. The HPA's sync
// period stays at its default of 15 s: users have that, so it is measured.
func (c *Cluster) startControllerManager(binary string) error {
	var err error
	c.controllers, err = c.supervisor.Start(childprocess.Command{
		Name: "kube-controller-manager", Path: binary, Args: []string{
			"--kubeconfig=" + c.kubeconfig,
			"--service-account-private-key-file=" + c.serviceAccount.key,
			"--root-ca-file=" + c.ca.caFile,
			"--leader-elect=false",
			"--secure-port=0",
			"--controllers=deployment-controller,replicaset-controller,job-controller,horizontal-pod-autoscaler-controller," +
				"namespace-controller,endpointslice-controller",
			// As KEDA's below: with the defaults scenarios would wait for each other's pods.
			"--kube-api-qps=200",
			"--kube-api-burst=400",
		},
	})
	return err
}

// connect makes the administrator's certificate and the file that names it.
func (c *Cluster) connect() error {
	admin, err := c.ca.issue("admin", "system:masters")
	if err != nil {
		return err
	}
	if err := c.writeKubeconfig(c.kubeconfig, "admin", admin); err != nil {
		return err
	}
	c.config, err = clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	// The tests must not be the bottleneck.
	c.config.QPS, c.config.Burst = -1, -1
	return nil
}

// address is host and port on the loopback.
func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }

// newDir makes the folder of the run's data.
func newDir() (string, error) {
	dir, err := os.MkdirTemp("", "backlog-scaler-e2e-")
	if err != nil {
		return "", fmt.Errorf("create data folder: %w", err)
	}
	return dir, nil
}
