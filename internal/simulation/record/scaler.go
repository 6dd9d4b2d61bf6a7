package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// An Explainer explains the triggers of a ScaledObject, as the client of a scaler does.
type Explainer interface {
	Explain(ctx context.Context, request *pb.ExplainRequest) (*pb.ExplainResponse, error)
}

// A Workload has replicas: what it asks for, and how many of them are ready.
type Workload interface {
	Replicas(ctx context.Context) (desired, ready int64, err error)
}

// Options choose what is recorded.
type Options struct {
	// Namespace and ScaledObject name what KEDA asks about, and Trigger one of its triggers; empty for
	// the only one.
	Namespace, ScaledObject, Trigger string
	// Signal is that of a policy, if the trigger names one; empty for the only one that counts messages.
	Signal string
	// Workload is whose replicas are recorded too; nil records those that a policy knows.
	Workload Workload
	// Start is when the recording begins, For how long it is, and Interval the time between two
	// samples. Ticks says when to take one.
	Start         time.Time
	Interval, For time.Duration
	Ticks         <-chan time.Time
}

// Scaler records what a scaler reads, until the time is over or ctx ends, which is no error. The error
// of the first call is returned; later ones are gaps.
func Scaler(ctx context.Context, client Explainer, out io.Writer, o Options) (Summary, error) {
	first, err := sample(ctx, client, &o)
	if err != nil {
		return Summary{}, err
	}
	if first == nil {
		return Summary{}, fmt.Errorf("%s/%s has not been read yet, or cannot be read: scaler explain says why", o.Namespace, o.ScaledObject)
	}
	r, err := newRecorder(out, &o, first)
	if err != nil {
		return Summary{}, err
	}
	if err := r.Add(0, first); err != nil {
		return Summary{}, err
	}
	for at := time.Duration(0); at < o.For; {
		select {
		case <-ctx.Done():
			return r.End(at)
		case now := <-o.Ticks:
			at = now.Sub(o.Start).Round(o.Interval)
		}
		// A scaler that is away is a gap.
		next, err := sample(ctx, client, &o)
		if ctx.Err() != nil {
			continue
		}
		if err != nil {
			next = nil
		}
		if err := r.Add(at, next); err != nil {
			return r.summary, err
		}
	}
	return r.End(o.For)
}

// newRecorder writes the header of a trace whose first sample is known.
func newRecorder(out io.Writer, o *Options, first *Sample) (*Recorder, error) {
	header := trace.Header{
		Start: o.Start.UTC().Truncate(time.Second), Unit: "messages", Source: "a scaler", Resolution: o.Interval,
		Quality: first.quality(), ServiceQuality: trace.Assumed,
	}
	if _, known := first.finished(); known && first.InFlight != nil {
		header.ServiceQuality = trace.Measured
	}
	writer, err := trace.NewWriter(out, header)
	if err != nil {
		return nil, err
	}
	return &Recorder{writer: writer, summary: Summary{Quality: header.Quality}}, nil
}

// callTimeout bounds a call of the scaler, which answers from memory.
const callTimeout = 5 * time.Second

// sample asks the scaler. It returns nil if the queue cannot be read now.
func sample(ctx context.Context, client Explainer, o *Options) (*Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := client.Explain(ctx, &pb.ExplainRequest{Namespace: o.Namespace, ScaledObject: o.ScaledObject, Trigger: o.Trigger})
	if err != nil {
		return nil, err
	}
	explained, err := only(response.GetExplanations())
	if err != nil {
		return nil, err
	}
	s, err := sampleOf(explained, o.Signal)
	if err != nil || s == nil || o.Workload == nil {
		return s, err
	}
	// That the replicas are not known for once is no gap: what came is known.
	s.Replicas, s.ReadyReplicas = nil, nil
	if desired, ready, err := o.Workload.Replicas(ctx); err == nil {
		s.Replicas, s.ReadyReplicas = &desired, &ready
	}
	return s, nil
}

// only returns the explanation of the only trigger; that of the most recent call if there are several of
// the same name.
func only(all []*pb.Explanation) (*pb.Explanation, error) {
	if len(all) == 0 {
		return nil, errors.New("the scaler knows no trigger of it")
	}
	var names []string
	for _, e := range all {
		if name := backlog.Line(e.GetTrigger().GetName()); e.GetTrigger().GetName() != all[0].GetTrigger().GetName() {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("there are several triggers, want one of them: --trigger %s", strings.Join(append(names, backlog.Line(all[0].GetTrigger().GetName())), ", "))
	}
	return all[0], nil
}

// sampleOf returns what an explanation has; nil if the queue cannot be read.
func sampleOf(e *pb.Explanation, signal string) (*Sample, error) {
	named := e.GetTrigger().GetPolicy() != ""
	switch {
	case named:
		return sampleOfPolicy(e.GetPolicy(), signal)
	case signal != "":
		return nil, errors.New("the trigger names no AutoscalerPolicy, so that it has no signals")
	}
	reading := e.GetReading()
	switch {
	case reading != nil && reading.Measured != nil:
		return nil, errors.New("the trigger measures a number; want one that counts messages")
	case reading == nil || e.GetProblem() != nil:
		return nil, nil //nolint:nilnil // nothing is a value here: unknown
	}
	s := sampleOfReading(reading)
	if d := e.GetDecision(); d != nil {
		s.Value = d.GetValue()
	}
	return s, nil
}

func sampleOfReading(reading *pb.Reading) *Sample {
	return &Sample{
		Waiting: reading.GetReady() + reading.GetDue(), InFlight: reading.InFlight, Enqueued: reading.Enqueued, Dequeued: reading.Dequeued,
		Epoch: reading.GetEpoch(), Value: -1,
	}
}

// sampleOfPolicy returns what is known of a policy: the queue of one signal, and the replicas.
func sampleOfPolicy(x *pb.PolicyExplanation, signal string) (*Sample, error) {
	e, err := signalOf(x, signal)
	if err != nil {
		return nil, err
	}
	if e.GetReading() == nil || e.GetProblem() != nil {
		return nil, nil //nolint:nilnil // nothing is a value here: unknown
	}
	s, p := sampleOfReading(e.GetReading()), x.GetPolicy()
	if p.ReportedReplicas != nil {
		s.Value = float64(p.GetReportedReplicas())
	}
	known := func(n *int32) *int64 {
		if n == nil {
			return nil
		}
		return new(int64(*n))
	}
	if w := p.GetWorkload(); w != nil {
		s.Replicas, s.ReadyReplicas = known(w.Replicas), known(w.Available)
	}
	return s, nil
}

// signalOf returns the signal of a policy that is recorded: the named one, else the only one that does not
// measure a number.
func signalOf(x *pb.PolicyExplanation, name string) (*pb.Explanation, error) {
	var names []string
	var found *pb.Explanation
	for i, e := range x.GetSignals() {
		if i >= len(x.GetPolicy().GetSignals()) || e.GetReading() != nil && e.GetReading().Measured != nil {
			continue
		}
		own := x.GetPolicy().GetSignals()[i].GetName()
		names = append(names, backlog.Line(own))
		if name == "" || own == name {
			found = e
		}
	}
	switch {
	case len(names) == 0:
		return nil, errors.New("the AutoscalerPolicy of the trigger has no signal that counts messages")
	case found == nil:
		return nil, fmt.Errorf("--signal %s: the AutoscalerPolicy has no such signal that counts messages, want %s", backlog.Line(name), strings.Join(names, ", "))
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("the AutoscalerPolicy has several signals, want one of them: --signal %s", strings.Join(names, ", "))
	}
	return found, nil
}
