package live

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/deploy/internal/helmchart"
)

// serverName is the chart's Service.
const serverName = helmchart.Release + "." + helmchart.Namespace + ".svc"

// TestServe starts the scaler as the chart does, over plain gRPC and over mutual TLS, and calls it for each
// trigger of the examples.
func TestServe(t *testing.T) {
	t.Parallel()
	folder, redis := programs(t), startRedis(t)
	checkSettings(t, folder)
	t.Run("plain", func(t *testing.T) {
		t.Parallel()
		p := newPod(t, folder, redis, "probes: {type: exec}")
		scaler := p.start(t)
		conn := dial(t, p, insecure.NewCredentials())
		callExamples(t, conn)
		checkMetrics(t, p)
		if err := scaler.Terminate(30 * time.Second); err != nil {
			t.Errorf("the scaler ends with %v\nlog:\n%s", err, scaler.Log())
		}
	})
	t.Run("mutual TLS", func(t *testing.T) {
		t.Parallel()
		p := newPod(t, folder, redis,
			"probes: {type: exec}\ntls: {enabled: true, existingSecret: server, probeSecret: probe}")
		ca := newAuthority(t)
		for secret, names := range map[string][]string{"tls": {serverName}, "probe-tls": nil} {
			certificate, key := ca.issue(t, names...)
			p.write(t, secret+"/tls.crt", certificate)
			p.write(t, secret+"/tls.key", key)
			p.write(t, secret+"/ca.crt", ca.certificate)
		}
		scaler := p.start(t)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM([]byte(ca.certificate))
		settings := &tls.Config{RootCAs: roots, ServerName: serverName, MinVersion: tls.VersionTLS12}
		stranger := dial(t, p, credentials.NewTLS(settings))
		if _, err := isActive(t.Context(), stranger, examples(t)[0]); err == nil {
			t.Error("a client without a certificate is served")
		}
		certificate, key := ca.issue(t)
		pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		settings = settings.Clone()
		settings.Certificates = []tls.Certificate{pair}
		callExamples(t, dial(t, p, credentials.NewTLS(settings)))
		if err := scaler.Terminate(30 * time.Second); err != nil {
			t.Errorf("the scaler ends with %v\nlog:\n%s", err, scaler.Log())
		}
	})
}

func dial(t *testing.T, p *pod, security credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(fmt.Sprintf("127.0.0.1:%d", p.grpcPort), grpc.WithTransportCredentials(security))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// callExamples asks for each trigger of the examples what KEDA asks.
func callExamples(t *testing.T, conn *grpc.ClientConn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	active := map[string]bool{}
	for _, tr := range examples(t) {
		if err := metricSpec(ctx, conn, tr); err != nil {
			t.Errorf("%s: %v", tr.scaledObject, err)
		}
		settles(ctx, t, conn, tr)
		// Without a hold it reports the value at once.
		delete(tr.metadata, "hold")
		delete(tr.metadata, "holdActive")
		is, err := isActive(ctx, conn, tr)
		if err != nil {
			t.Errorf("%s: %v", tr.scaledObject, err)
		}
		active[tr.scaledObject] = active[tr.scaledObject] || is
		if err := openStream(ctx, conn, tr); err != nil {
			t.Errorf("%s: %v", tr.scaledObject, err)
		}
	}
	for name, want := range map[string]bool{"mailer": true, "billing": true, "audit": false, "fulfilment": false} {
		if active[name] != want {
			t.Errorf("%s is active: %v, want %v", name, active[name], want)
		}
	}
	wrong := examples(t)[0]
	wrong.namespace = "elsewhere"
	if _, err := isActive(ctx, conn, wrong); err == nil {
		t.Error("a namespace that the connection does not name is served")
	}
}

// settles checks of a trigger with a hold that nothing is reported right after a start
// that might be a shrink.
func settles(ctx context.Context, t *testing.T, conn *grpc.ClientConn, tr trigger) {
	t.Helper()
	if tr.metadata["hold"] == "" {
		return
	}
	tr.scaledObject += "-warming-up"
	// Longer than a busy machine takes for all examples.
	tr.metadata["hold"] = "1h"
	if _, err := isActive(ctx, conn, tr); err == nil || !strings.Contains(err.Error(), "warming up after a start") {
		t.Errorf("%s right after a start: %v", tr.scaledObject, err)
	}
}

// examples reads the triggers of all ScaledObjects of the folder examples that name a queue in Redis.
// Those of other engines need servers of their own.
func examples(t *testing.T) []trigger {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "keda", "examples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var triggers []trigger
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := helmchart.Objects(file, data)
		if err != nil {
			t.Fatal(err)
		}
		for _, object := range objects {
			if object.Kind() != "ScaledObject" {
				continue
			}
			var parsed struct {
				Metadata struct{ Name, Namespace string }
				Spec     struct {
					Triggers []struct {
						Type     string
						Metadata map[string]string
					}
				}
			}
			if err := yaml.Unmarshal(object.YAML, &parsed); err != nil {
				t.Fatal(err)
			}
			for _, one := range parsed.Spec.Triggers {
				if one.Type != "external-push" {
					t.Errorf("%s: the trigger is of type %s", file, one.Type)
				}
				if one.Metadata["connection"] != "orders" {
					continue
				}
				triggers = append(triggers, trigger{parsed.Metadata.Namespace, parsed.Metadata.Name, one.Metadata})
			}
		}
	}
	if len(triggers) == 0 {
		t.Fatal("there are no examples")
	}
	return triggers
}

// checkMetrics holds monitoring/metrics.yaml against what the scaler exposes.
func checkMetrics(t *testing.T, p *pod) {
	t.Helper()
	exposed := scrape(t, p)
	data, err := os.ReadFile(filepath.Join("..", "keda", "monitoring", "metrics.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Metrics []struct {
			Name   string
			Type   string
			Labels []string
		}
		// The chart's pod watches no policies.
		Policies []any
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		t.Fatal(err)
	}
	for _, want := range file.Metrics {
		family, ok := exposed[want.Name]
		if !ok {
			t.Errorf("metrics.yaml lists %s, which the scaler does not expose", want.Name)
			continue
		}
		if got := dto.MetricType_name[int32(family.GetType())]; got != map[string]string{
			"gauge": "GAUGE", "counter": "COUNTER", "histogram": "HISTOGRAM",
		}[want.Type] {
			t.Errorf("%s is a %s, metrics.yaml says %s", want.Name, got, want.Type)
		}
		var got []string
		for _, pair := range family.GetMetric()[0].GetLabel() {
			got = append(got, pair.GetName())
		}
		slices.Sort(got)
		slices.Sort(want.Labels)
		if !slices.Equal(got, want.Labels) {
			t.Errorf("%s has the labels %v, metrics.yaml says %v", want.Name, got, want.Labels)
		}
	}
}

func scrape(t *testing.T, p *pod) map[string]*dto.MetricFamily {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", p.httpPort), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Timeout: 10 * time.Second}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(response.Body, 10<<20))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("scrape: %s, %v", response.Status, err)
	}
	return families
}
