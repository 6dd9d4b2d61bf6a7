package measure

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
	"github.com/backlog-scaler/backlog-scaler/e2e/cluster"
	"github.com/backlog-scaler/backlog-scaler/e2e/redisserver"
	"github.com/backlog-scaler/backlog-scaler/e2e/scaler"
	"github.com/backlog-scaler/backlog-scaler/e2e/workload"
	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

const (
	// manyPolicies is how many policies there are, each with so many signals, and how many plain triggers.
	manyPolicies, signalsEach = 1000, 3
	// policiesActive is how many of each have work in the end.
	policiesActive = manyPolicies / 10
	// policyWindows is how often both scalers are looked at, idle and active, and policyWindow for how long: the time in which
	// a scaler confirms its idle queues.
	policyWindows, policyWindow = 6, 10 * time.Second
	// statusesWritten is the longest time after which a change of numbers is in the status of a policy, and some more.
	statusesWritten = 40 * time.Second
	// policiesNamespace is that of all objects.
	policiesNamespace = "policies"
	// policyMakers is how many objects are made at the same time.
	policyMakers = 16
	// policiesMemory bounds the memory of the scaler with all policies, in megabytes: GOMEMLIMIT as the chart sets it by default.
	policiesMemory = 240
	// policiesCPU bounds its processor time by that of the scaler with the plain triggers, which has a third of its queues.
	policiesCPU = signalsEach + 1
)

// Policies compares a scaler that watches a thousand policies of three lists each with one that has a thousand plain triggers, each
// on a list of its own. Both have a Redis of their own, and both of KEDA's streams of each ScaledObject, and are measured in the
// same windows. The API server counts what the scaler writes while nothing changes.
func Policies(ctx context.Context, programs Programs) (measurements []measurement.Measurement, err error) {
	p := &manyStage{programs: programs}
	ctx, err = p.start(ctx)
	defer func() { err = errors.Join(because(ctx, err), p.close()) }()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := p.makeObjects(ctx); err != nil {
		return nil, err
	}
	fmt.Fprintf(programs.Progress, "policies: %d of them are there after %s\n", manyPolicies, time.Since(began).Round(time.Second))
	if err := p.startScalers(ctx); err != nil {
		return nil, err
	}
	if err := p.objects.waitAccepted(ctx, manyPolicies, patience); err != nil {
		return nil, err
	}
	fmt.Fprintf(programs.Progress, "policies: and accepted after %s\n", time.Since(began).Round(time.Second))
	before, err := p.plane.ScalerWrites(policiesNamespace)
	if err != nil {
		return nil, err
	}
	if len(before) < manyPolicies {
		return nil, fmt.Errorf("count the writes of the scaler: the API server saw %d for %d policies", len(before), manyPolicies)
	}
	if err := pause(ctx, statusesWritten); err != nil {
		return nil, err
	}
	idle, err := p.windows(ctx, "idle")
	if err != nil {
		return nil, err
	}
	if err := p.wake(ctx); err != nil {
		return nil, err
	}
	active, err := p.windows(ctx, "active")
	return append(idle, active...), err
}

// A manyStage is a control plane without KEDA and both scalers.
type manyStage struct {
	programs   Programs
	supervisor *childprocess.Supervisor
	plane      *cluster.Cluster
	clients    *workload.Clients
	objects    *policyObjects
	// flags and environment are those of a scaler that watches policies.
	flags, environment []string
	policies, plain    manySide
}

// A manySide is a scaler with its ScaledObjects.
type manySide struct {
	redis   *redisserver.Server
	scaler  *scaler.Scaler
	streams *streams
	refs    []*pb.ScaledObjectRef
	// active are the lists that get a message in the end.
	active []string
}

// start starts the control plane and the servers.
func (p *manyStage) start(ctx context.Context) (context.Context, error) {
	var err error
	if p.supervisor, ctx, err = childprocess.NewSupervisor(ctx, filepath.Join(p.programs.Logs, "policies")); err != nil {
		return ctx, err
	}
	if p.plane, err = cluster.StartControlPlane(ctx, p.supervisor, p.programs.Toolchain); err != nil {
		return ctx, err
	}
	if err := p.plane.InstallKEDA(ctx, p.programs.Toolchain); err != nil {
		return ctx, err
	}
	if err := p.plane.CreateNamespace(ctx, policiesNamespace); err != nil {
		return ctx, err
	}
	if p.clients, err = workload.NewClients(ctx, p.plane.Config()); err != nil {
		return ctx, err
	}
	for name, side := range map[string]*manySide{"redis-policies": &p.policies, "redis-plain": &p.plain} {
		if side.redis, err = redisserver.Start(ctx, p.supervisor, p.plane.Dir(), name); err != nil {
			return ctx, err
		}
	}
	return ctx, nil
}

// close ends everything, last first.
func (p *manyStage) close() (err error) {
	for _, side := range []*manySide{&p.policies, &p.plain} {
		if side.streams != nil {
			err = errors.Join(err, side.streams.Close())
		}
		if side.redis != nil {
			err = errors.Join(err, side.redis.Close())
		}
	}
	if p.supervisor != nil {
		p.supervisor.Close()
	}
	if p.clients != nil {
		p.clients.Tracker.Close()
	}
	if p.plane != nil {
		err = errors.Join(err, p.plane.Close())
	}
	return err
}

// makeObjects makes the workloads, their ScaledObjects, which no KEDA scales, and their policies. The plain triggers need no objects.
func (p *manyStage) makeObjects(ctx context.Context) (err error) {
	if p.flags, p.environment, err = p.plane.InstallPolicies(ctx, p.programs.Toolchain); err != nil {
		return err
	}
	if p.objects, err = newPolicyObjects(p.plane.Config(), policiesNamespace); err != nil {
		return err
	}
	group, making := errgroup.WithContext(ctx)
	group.SetLimit(policyMakers)
	for i := range manyPolicies {
		name, plain := list("policy", i), list("plain", i)
		lists := make([]string, signalsEach)
		for j := range lists {
			lists[j] = list(name, j)
		}
		p.policies.add(name, lists[0], map[string]string{"policy": name})
		p.plain.add(plain, plain, map[string]string{"connection": connection, "list": plain, "target": messages})
		group.Go(func() error {
			if _, err := workload.New(making, p.clients, workload.Options{
				Namespace: policiesNamespace, Name: name, Triggers: []workload.Trigger{policyTrigger("127.0.0.1:9090", name)},
			}); err != nil {
				return err
			}
			return p.objects.create(making, name, lists...)
		})
	}
	return group.Wait()
}

// add adds a ScaledObject as KEDA sends it. One of the first ones gets a message in the end.
func (s *manySide) add(name, list string, metadata map[string]string) {
	s.refs = append(s.refs, &pb.ScaledObjectRef{Name: name, Namespace: policiesNamespace, ScalerMetadata: metadata})
	if len(s.active) < policiesActive {
		s.active = append(s.active, list)
	}
}

// startScalers starts both scalers and opens the streams of their ScaledObjects.
func (p *manyStage) startScalers(ctx context.Context) error {
	var err error
	for _, s := range []struct {
		*manySide

		name               string
		flags, environment []string
	}{{&p.policies, "scaler-policies", p.flags, p.environment}, {&p.plain, "scaler-plain", nil, nil}} {
		if s.scaler, err = scaler.Start(ctx, p.supervisor, scaler.Options{
			Name: s.name, Binary: p.programs.Scaler, Dir: p.plane.Dir(), Args: append(s.flags, "--pprof"), Env: s.environment,
			Connections: map[string]scaler.Connection{
				connection: {Engine: "redis", Namespaces: []string{"*"}, Addresses: []string{s.redis.Address()}},
			},
		}); err != nil {
			return err
		}
	}
	// Until the watch has brought the policies a trigger that names one waits for its first message.
	for _, s := range []*manySide{&p.policies, &p.plain} {
		if s.streams, err = hold(ctx, s.scaler.Address(), s.refs); err != nil {
			return err
		}
	}
	return nil
}

// wake writes a message into some lists of both sides, and returns when the statuses have it.
func (p *manyStage) wake(ctx context.Context) error {
	for _, s := range []*manySide{&p.policies, &p.plain} {
		for _, list := range s.active {
			if err := s.redis.Push(ctx, list, 1); err != nil {
				return err
			}
		}
	}
	return pause(ctx, statusesWritten)
}

// windows measures both sides in the same windows, in which nothing changes.
func (p *manyStage) windows(ctx context.Context, kind string) ([]measurement.Measurement, error) {
	began := time.Now()
	var cpu, memory, redis measurement.Rounds
	for range policyWindows {
		var before, after [2]manyCost
		if err := errors.Join(p.policies.cost(ctx, &before[0]), p.plain.cost(ctx, &before[1])); err != nil {
			return nil, err
		}
		if err := pause(ctx, policyWindow); err != nil {
			return nil, err
		}
		if err := errors.Join(p.policies.cost(ctx, &after[0]), p.plain.cost(ctx, &after[1])); err != nil {
			return nil, err
		}
		cpu.Add(after[0].cpuSince(before[0]), after[1].cpuSince(before[1]))
		redis.Add(after[0].commandsSince(before[0]), after[1].commandsSince(before[1]))
	}
	var held [2]float64
	for i, s := range []*manySide{&p.policies, &p.plain} {
		var err error
		if held[i], err = s.scaler.Settled(ctx); err != nil {
			return nil, err
		}
	}
	memory.Add(held[0]/1e6, held[1]/1e6)
	writes, err := p.writes(began, kind)
	if err != nil {
		return nil, err
	}
	return []measurement.Measurement{
		cpu.Measurement("policies_cpu_"+kind, "ms/s", measurement.RatioAtMost(policiesCPU)),
		memory.Measurement("policies_memory_"+kind, "MB", measurement.AtMost(policiesMemory)),
		redis.Measurement("policies_commands_"+kind, "1/s", measurement.Bound{}),
		writes,
	}, nil
}

// writes counts what the scaler wrote to the API server since a moment.
func (p *manyStage) writes(since time.Time, kind string) (measurement.Measurement, error) {
	all, err := p.plane.ScalerWrites(policiesNamespace)
	later := slices.DeleteFunc(slices.Clone(all), func(w cluster.Write) bool { return w.At.Before(since) })
	m := measurement.Measurement{
		Name: "policies_writes_" + kind, Value: float64(len(later)), Unit: "writes", Bound: measurement.AtMost(0),
		Note: fmt.Sprintf("in %s, without the Lease; %d before", time.Since(since).Round(time.Second), len(all)-len(later)),
	}
	if len(later) > 0 {
		m.Note += fmt.Sprintf("; such as %s of %s %s", later[0].Verb, later[0].Resource, later[0].Name)
	}
	return m, err
}

// A manyCost is what a scaler and its Redis have used until a moment.
type manyCost struct {
	at    time.Time
	cpu   time.Duration
	redis redisserver.Cost
}

func (s *manySide) cost(ctx context.Context, c *manyCost) (err error) {
	c.at = time.Now()
	if c.redis, err = s.redis.Cost(ctx); err != nil {
		return err
	}
	return used(s.scaler.Process(), &c.cpu, nil)
}

// cpuSince is the milliseconds of processor time of the scaler in a second.
func (c manyCost) cpuSince(earlier manyCost) float64 {
	return milliseconds(c.cpu-earlier.cpu) / c.at.Sub(earlier.at).Seconds()
}

// commandsSince is the commands that Redis got in a second, without the one that asked for the cost.
func (c manyCost) commandsSince(earlier manyCost) float64 {
	return float64(c.redis.Commands-earlier.redis.Commands-1) / c.at.Sub(earlier.at).Seconds()
}
