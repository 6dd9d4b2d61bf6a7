package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/admin"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// onePolicy is a scaler that knows the policy shop/billing and no connection.
type onePolicy struct{}

func (onePolicy) Status(string) (backlog.Status, bool) { return backlog.Status{}, false }

func (onePolicy) Connections() []backlog.ConnectionState { return nil }

func (p onePolicy) Keys() []policies.Key { return []policies.Key{{Namespace: "shop", Name: "billing"}} }

func (p onePolicy) Explain(key policies.Key) (policies.Explanation, bool) {
	if key != p.Keys()[0] {
		return policies.Explanation{}, false
	}
	return policies.Explanation{Status: policies.Status{
		Policy: policies.Policy{
			Key: key, Mode: policies.Observe, Via: policies.ViaScale, Jump: policies.JumpNever, Ref: policies.Ref{Kind: "Deployment", Name: "billing"},
		},
		Target:      policies.Target{Target: policy.Target{Replicas: 4, Available: 4}},
		TargetKnown: true, Outcome: policies.Outcome{Replicas: 5, Decision: policy.Decision{Wanted: 5, Ceiling: 40}}, Decided: true,
	}}, true
}

func TestExplainPolicy(t *testing.T) {
	t.Parallel()
	known := server.New(nil, trigger.NewCatalog(nil, nil), server.Options{})
	served := admin.NewServer(admin.Options{Routes: inspector.New(known, onePolicy{}, onePolicy{}, func() error { return nil }).Routes(), Page: http.NotFoundHandler()})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- served.Serve(listener) }()
	defer func() {
		if err := errors.Join(served.Close(), <-ended); !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	}()
	ask := func(name string, more ...string) (code int, out, errText string) {
		return scaler(append([]string{"explain", "--policy", name, "--timeout", time.Minute.String(), "--address", listener.Addr().String()}, more...)...)
	}
	code, out, errText := ask("shop/billing")
	if first, rest, _ := strings.Cut(out, "\n"); code != 0 || first != "AutoscalerPolicy shop/billing wants 5 replicas, active" || !strings.Contains(rest, "mode: Observe") {
		t.Errorf("code %d:\n%s%s", code, out, errText)
	}
	code, out, errText = ask("shop/billing", "--output", "json")
	var got struct {
		Explanation struct {
			Policy struct {
				Name             string
				ReportedReplicas int32
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil || got.Explanation.Policy.Name != "billing" || got.Explanation.Policy.ReportedReplicas != 5 {
		t.Errorf("code %d, %v, %+v:\n%s%s", code, err, got, out, errText)
	}
	if code, out, errText = ask("shop/biling"); code != 1 || !strings.Contains(errText, "did you mean shop/billing?") {
		t.Errorf("code %d:\n%s%s", code, out, errText)
	}
}
