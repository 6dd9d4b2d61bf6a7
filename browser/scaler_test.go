package browser

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	pbkeda "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
)

// pollInterval is how often the triggers are asked about, as KEDA and the HPA do.
const pollInterval = time.Second

// A scaler is the program "scaler serve" with the connections "main" and "other", which are real
// servers of Redis. The second one may delete queues, and the connection "limited" to it has few
// rights. A client asks it about triggers for as long as the test runs, as KEDA does.
type scaler struct {
	testing.TB

	// url is the address of the page, without a slash at its end.
	url         string
	main, other *redistest.Server

	args    []string
	ready   string
	process *childprocess.Process
	log     *childprocess.Output
	keda    pbkeda.ExternalScalerClient

	// mu guards asked: the triggers, by namespace and name.
	mu    sync.Mutex
	asked map[string]*pbkeda.ScaledObjectRef
}

// program builds the scaler once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "browser-*")
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "scaler")
	build := exec.Command("go", "build", "-o", path, "./cmd/scaler")
	build.Dir = ".."
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the scaler: %w\n%s", err, output)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// startScaler starts a scaler that ends with the test, with further flags.
func startScaler(t testing.TB, flags ...string) *scaler {
	t.Helper()
	s := &scaler{
		TB: t, main: redistest.Start(t),
		other: redistest.Start(t, redistest.WithAppendOnly(), redistest.WithConfig(
			"maxmemory 512mb", "maxmemory-policy allkeys-lru", "user limited on >secret ~* &* +@all -client|tracking -config",
		)),
		log: new(childprocess.Output), asked: map[string]*pbkeda.ScaledObjectRef{},
	}
	ports, err := childprocess.FreePorts("127.0.0.1", 3)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	config, password := filepath.Join(folder, "scaler.yaml"), filepath.Join(folder, "password")
	if err := os.WriteFile(password, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("connections:\n"+
		"  main: {engine: redis, namespaces: [\"*\"], addresses: [%q]}\n"+
		"  other: {engine: redis, namespaces: [shop, bank], addresses: [%q]}\n"+
		"  limited: {engine: redis, namespaces: [bank], addresses: [%q], username: limited, password: {file: %q}}\n",
		s.main.Addr(), s.other.Addr(), s.other.Addr(), password)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	address := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	s.url, s.ready = "http://"+address(ports[2]), "http://"+address(ports[1])+"/readyz"
	s.args = append([]string{
		"serve", "--config", config, "--drain-delay=0s",
		"--grpc-address", address(ports[0]), "--http-address", address(ports[1]), "--admin-address", address(ports[2]),
	}, flags...)
	s.start()
	connection, err := grpc.NewClient("passthrough:///"+address(ports[0]), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	s.keda = pbkeda.NewExternalScalerClient(connection)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var polling sync.WaitGroup
	polling.Go(func() { s.poll(ctx) })
	t.Cleanup(func() {
		cancel()
		polling.Wait()
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
		s.stop()
		if t.Failed() {
			t.Logf("the log of the scaler:\n%s", s.log)
		}
	})
	return s
}

// start starts the program and waits until it is ready.
func (s *scaler) start() {
	s.Helper()
	path, err := program()
	if err == nil {
		s.process, err = childprocess.Start(childprocess.Command{Path: path, Args: s.args, Stderr: s.log})
	}
	if err == nil {
		err = childprocess.Poll(s.Context(), "the scaler is ready", patience, 20*time.Millisecond, s.isReady)
	}
	if err != nil {
		s.Fatalf("%v\n%s", err, s.log)
	}
}

func (s *scaler) isReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.ready, http.NoBody)
	if err != nil {
		return err
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// stop ends the program at once, as the loss of its node would.
func (s *scaler) stop() { s.process.Kill() }

// freeze stops the program: its ports accept connections, and nothing answers. thaw lets it go on.
func (s *scaler) freeze() { s.signal(syscall.SIGSTOP) }

func (s *scaler) thaw() { s.signal(syscall.SIGCONT) }

func (s *scaler) signal(signal syscall.Signal) {
	s.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.Fatal(err)
	}
}

// ask has the client ask about a trigger from now on; the metadata is in pairs.
func (s *scaler) ask(namespace, name string, pairs ...string) {
	s.Helper()
	ref := &pbkeda.ScaledObjectRef{Namespace: namespace, Name: name, ScalerMetadata: map[string]string{"scalerAddress": "backlog-scaler.backlog-scaler.svc:9090"}}
	for i := 0; i+1 < len(pairs); i += 2 {
		ref.ScalerMetadata[pairs[i]] = pairs[i+1]
	}
	s.mu.Lock()
	s.asked[namespace+"/"+name] = ref
	s.mu.Unlock()
	s.call(s.Context(), ref)
}

// call asks about a trigger as KEDA polls. An error is part of what is shown.
func (s *scaler) call(ctx context.Context, ref *pbkeda.ScaledObjectRef) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, _ = s.keda.IsActive(ctx, ref)
	_, _ = s.keda.GetMetrics(ctx, &pbkeda.GetMetricsRequest{ScaledObjectRef: ref})
}

// poll asks about all triggers until ctx ends.
func (s *scaler) poll(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		asked := maps.Clone(s.asked)
		s.mu.Unlock()
		for _, ref := range asked {
			s.call(ctx, ref)
		}
	}
}

// push appends messages to a list.
func push(server *redistest.Server, list string, messages int) {
	for i := range messages {
		server.Do("RPUSH", list, fmt.Sprint("message ", i))
	}
}

// add adds messages to the stream "orders".
func (s *scaler) add(messages int) {
	for i := range messages {
		s.main.Do("XADD", "orders", "*", "order", i)
	}
}

// demo fills the queues, and has the client ask about triggers in all states but those that an outage
// causes.
func (s *scaler) demo() {
	s.Helper()
	s.main.Do("XGROUP", "CREATE", "orders", "checkout", "0", "MKSTREAM")
	began := time.Now().Add(-95 * time.Second).UnixMilli()
	for i := range int64(49) {
		s.main.Do("XADD", "orders", fmt.Sprintf("%d-0", began+i), "order", i)
	}
	s.main.Do("XREADGROUP", "GROUP", "checkout", "worker-1", "COUNT", 12, "STREAMS", "orders", ">")
	push(s.main, "mails", 4)
	push(s.main, "invoices", 230)
	s.main.Do("SADD", "nightly", "monday")
	push(s.other, "transfers", 18)
	push(s.other, "transfers:taken", 3)
	s.ask("shop", "checkout", "connection", "main", "stream", "orders", "consumerGroup", "checkout", "target", "5", "activation", "3")
	s.ask("shop", "newsletter", "connection", "main", "list", "mails", "target", "10")
	s.ask("shop", "invoices", "connection", "main", "list", "invoices", "target", "20")
	s.ask("shop", "reports", "connection", "main", "list", "nightly")
	s.ask("shop", "exports", "connection", "main", "list", "exports", "tagret", "5")
	s.ask("shop", "images", "connection", "main", "list", "images")
	s.ask("bank", "ledger", "connection", "other", "list", "transfers", "inFlightList", "transfers:taken", "target", "4")
}

// hostile asks about a trigger and a queue whose names are markup.
func (s *scaler) hostile() {
	s.Helper()
	push(s.main, pagetest.Hostile, 3)
	s.ask("shop", pagetest.Hostile, "connection", "main", "list", pagetest.Hostile)
}
