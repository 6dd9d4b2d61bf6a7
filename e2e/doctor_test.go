package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// The namespaces of the scenarios, and the service accounts that run scaler doctor.
const (
	soundNamespace = "e2e-doctor-sound"
	trapNamespace  = "e2e-doctor-traps"
	fullAccount    = "full"
	partAccount    = "part"
)

// A doctorSuite is a suite with a scaler whose inspector answers, and with service accounts that may read what the role in
// deploy/keda says, and a part of it.
type doctorSuite struct {
	*suite

	binary, admin string
	access        map[string]string // kubeconfigs by account
}

// TestDoctor runs the real scaler doctor against a real control plane with a real KEDA. It has a cluster of its own.
func TestDoctor(t *testing.T) { //nolint:tparallel // each goes on from what the one before has left
	t.Parallel()
	s := newDoctorSuite(t)
	t.Run("sound", s.sound)
	t.Run("traps", s.traps)
	t.Run("rights", s.rights)
	// Streams are open by now, and the HPA has asked.
	t.Run("sound for a while", s.sound)
	t.Run("servers", s.servers)
}

func newDoctorSuite(t *testing.T) *doctorSuite {
	t.Helper()
	s := &doctorSuite{suite: newStage(t, "-doctor"), access: make(map[string]string)}
	root, err := toolchain.Root()
	check(t, err)
	s.binary, err = toolchain.Cache{Root: root, Progress: os.Stderr}.BuildScaler(t.Context())
	check(t, err)
	ports, err := childprocess.FreePorts("127.0.0.1", 1)
	check(t, err)
	s.admin = fmt.Sprintf("127.0.0.1:%d", ports[0])
	s.scaler = s.startScaler(t, scaler.Options{
		Name: "scaler", Args: []string{"--admin-address=" + s.admin},
		Connections: map[string]scaler.Connection{"main": s.connection(s.redis, "e2e-doctor-*")},
	})
	for _, namespace := range []string{soundNamespace, trapNamespace} {
		check(t, s.stage.Cluster.CreateNamespace(s.ctx, namespace))
	}
	role, err := os.ReadFile(filepath.Join(root, "..", "deploy", "keda", "doctor.yaml"))
	check(t, err)
	check(t, s.stage.Cluster.Apply(s.ctx, role))
	s.apply(t, "doctor-bindings.yaml")
	for _, account := range []string{fullAccount, partAccount} {
		s.access[account], err = s.stage.Cluster.ServiceAccountKubeconfig(trapNamespace, account)
		check(t, err)
	}
	return s
}

// apply applies the manifests of a file in testdata, in which ADDRESS stands for that of the scaler.
func (s *doctorSuite) apply(t *testing.T, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	check(t, err)
	check(t, s.stage.Cluster.Apply(s.ctx, bytes.ReplaceAll(data, []byte("ADDRESS"), []byte(s.scaler.Address()))))
}

// An examined is what scaler doctor printed as JSON.
type examined struct {
	Findings []struct {
		Code, Severity, Kind, Name, Field, What string
	}
	Checks []struct {
		Code, Status string
		Skipped      []string
	}
}

// codes returns the findings of a severity or above a remark, as "code name", sorted.
func (e *examined) codes() []string {
	found := make(map[string]bool)
	for _, f := range e.Findings {
		if f.Severity != "info" {
			found[f.Code+" "+f.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// doctor runs scaler doctor with the rights of an account, and wants an exit code.
func (s *doctorSuite) doctor(ctx context.Context, account string, code int, args ...string) (*examined, error) {
	command := exec.CommandContext(ctx, s.binary, append([]string{"doctor", "--output=json"}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+s.access[account])
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return nil, fmt.Errorf("run scaler doctor: %w", err)
	}
	if got := command.ProcessState.ExitCode(); got != code {
		return nil, fmt.Errorf("scaler doctor ended with %d, want %d\n%s%s", got, code, &stdout, &stderr)
	}
	var e examined
	if err := json.Unmarshal(stdout.Bytes(), &e); err != nil {
		return nil, fmt.Errorf("parse what scaler doctor printed: %w\n%s", err, &stdout)
	}
	return &e, nil
}

// sound: nothing is found in a namespace without a trap, not even a remark, once KEDA has settled.
func (s *doctorSuite) sound(t *testing.T) {
	s.apply(t, "doctor-sound.yaml")
	check(t, childprocess.Poll(s.ctx, "nothing is found", time.Minute, time.Second, func(ctx context.Context) error {
		e, err := s.doctor(ctx, fullAccount, 0, "--namespace="+soundNamespace, "--address="+s.admin, "--config="+s.scaler.Config())
		if err != nil {
			return err
		}
		if len(e.Findings) > 0 {
			return fmt.Errorf("the findings are %+v", e.Findings)
		}
		judged := 0
		for _, c := range e.Checks {
			if c.Status == "ok" {
				judged++
			}
		}
		if judged < 30 {
			return fmt.Errorf("only %d checks were made: %+v", judged, e.Checks)
		}
		return nil
	}))
}

// traps: each trap that is set is found by its code, and a second namespace is left alone.
func (s *doctorSuite) traps(t *testing.T) {
	s.apply(t, "doctor-traps.yaml")
	want := []string{
		"B401 stray",    // nothing is behind the Service
		"B403 mistaken", // the scaler rejects what KEDA asks
		"D901 polled", "K103 keda-operator",
		"S201 mistaken", "S202 mistaken-connection", "S203 import", "S204 polled",
		"S207 fallback", "S208 fallback", "S209 fallback", "S211 fallback", "S212 combined", "S213 fallback", "S214 import", "S214 paused",
		"S215 fallback", "S220 mistaken", "S220 mistaken-connection",
		"W301 fallback", "W302 fallback", "W303 fallback",
	}
	check(t, childprocess.Poll(s.ctx, "all traps are found", 2*time.Minute, time.Second, func(ctx context.Context) error {
		e, err := s.doctor(ctx, fullAccount, 1, "--address="+s.admin, "--config="+s.scaler.Config())
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(e.codes(), func(code string) bool {
			// Of the triggers of the scaler the rejected one is certain, and others depend on what KEDA has asked by then. The
			// HPA of a rejected trigger fails at its next sync, and so does what has no scaler.
			return strings.HasPrefix(code, "B403 ") && code != "B403 mistaken" || strings.HasPrefix(code, "S222 keda-hpa-mistaken") ||
				strings.HasSuffix(code, "stray") && code != "B401 stray"
		})
		if diff := cmp.Diff(want, found); diff != "" {
			return fmt.Errorf("(-want +found):\n%s", diff)
		}
		for _, f := range e.Findings {
			if f.Name == "billing" {
				return fmt.Errorf("in the sound namespace is %+v", f)
			}
		}
		return nil
	}))
}

// servers: what endangers the queues of a server is found once the scaler has asked it, and is gone when the setting is.
func (s *doctorSuite) servers(t *testing.T) {
	set := func(name, value string) { check(t, s.redis.Client().ConfigSet(s.ctx, name, value).Err()) }
	found := func(what string, code int, want ...string) {
		t.Helper()
		// The scaler asks its servers once a minute.
		check(t, childprocess.Poll(s.ctx, what, 3*time.Minute, time.Second, func(ctx context.Context) error {
			e, err := s.doctor(ctx, fullAccount, code, "--namespace="+soundNamespace, "--address="+s.admin, "--config="+s.scaler.Config())
			if err != nil {
				return err
			}
			if diff := cmp.Diff(want, e.codes()); diff != "" {
				return fmt.Errorf("(-want +found):\n%s", diff)
			}
			return nil
		}))
	}
	// With those of the scaler these are more than nine tenths of the limit, and leave room for the connections that the scaler
	// opens to verify the address.
	const limit, clients = "30", 25
	pool := redis.NewClient(&redis.Options{Addr: s.redis.Address(), PoolSize: clients})
	defer func() { check(t, pool.Close()) }()
	for range clients {
		check(t, pool.Conn().Ping(s.ctx).Err())
	}
	set("maxmemory", "512mb")
	set("maxmemory-policy", "allkeys-lru")
	set("maxclients", limit)
	found("the risks of the server are found", 1, "R501 main", "R502 main")
	set("maxclients", "10000")
	set("maxmemory-policy", "noeviction")
	found("the risks are gone", 0)
}

// rights: with a part of the rights the checks that need more say which right is missing, the others find what they found, and
// nothing was written.
func (s *doctorSuite) rights(t *testing.T) {
	e, err := s.doctor(s.ctx, partAccount, 1, "--namespace="+trapNamespace, "--config="+s.scaler.Config())
	check(t, err)
	for _, code := range []string{"S201 mistaken", "S203 import", "S207 fallback", "S213 fallback", "S220 mistaken"} {
		if !slices.Contains(e.codes(), code) {
			t.Errorf("%s is not among %q", code, e.codes())
		}
	}
	skipped := make(map[string]string)
	for _, c := range e.Checks {
		if c.Status == "skipped" {
			skipped[c.Code] = c.Skipped[0]
		}
	}
	for code, want := range map[string]string{
		"K101": "needs the right to list apiservices.apiregistration.k8s.io in all namespaces",
		"K103": "needs the right to list deployments.apps in " + trapNamespace,
		"K107": "needs the right to list networkpolicies.networking.k8s.io in " + trapNamespace,
		"S222": "needs the right to list horizontalpodautoscalers.autoscaling in " + trapNamespace,
		"B403": "no scaler answers at 127.0.0.1:9091: kubectl port-forward reaches one, and --address names another",
	} {
		if skipped[code] != want {
			t.Errorf("%s is skipped because %q, want %q", code, skipped[code], want)
		}
	}
	writes, err := s.stage.Cluster.Writes("")
	check(t, err)
	for _, w := range writes {
		if w.Verb != "create" || w.Resource != "selfsubjectaccessreviews" {
			t.Errorf("scaler doctor wrote %+v", w)
		}
	}
	if len(writes) == 0 {
		t.Error("the log of the API server has none of its requests")
	}
}
