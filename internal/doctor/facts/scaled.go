package facts

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A Scaled is a ScaledObject or a ScaledJob.
type Scaled struct {
	*object.Object

	// Job reports that it is a ScaledJob. Target is what a ScaledObject scales.
	Job      bool
	Target   Ref
	Triggers []*Entry
}

// An Entry is one trigger of a ScaledObject or a ScaledJob.
type Entry struct {
	object.Value

	// Index is its place. Kind is its type, and Metadata are its metadata.
	Index    int
	Kind     string
	Metadata map[string]string
	// Ours reports that it is a trigger of this scaler.
	Ours bool
	// Address is where KEDA finds the scaler.
	Address Address
	// Valid reports that the trigger is known to have no faults, and Parsed is the trigger then. Unseen is
	// what its layout cannot count of what workers hold; nil if all is counted.
	Valid  bool
	Parsed trigger.Trigger
	Unseen error
	// Faults are those of its metadata, and Denied is the error of its connection.
	Faults trigger.MetadataError
	Denied error
}

func newScaled(v *View, o *object.Object) *Scaled {
	s := &Scaled{Object: o, Job: o.Kind == object.ScaledJobs, Target: TargetOf(o)}
	for i, fields := range o.At("spec", "triggers").List() {
		e := &Entry{Value: fields, Index: i, Kind: fields.At("type").Text(), Metadata: fields.At("metadata").Texts()}
		e.Address = parseAddress(e.Metadata["scalerAddress"])
		e.Ours = (e.Kind == "external" || e.Kind == "external-push") && v.isOurs(e)
		if e.Ours && v.Triggers != nil {
			e.parse(v.Triggers, o.Namespace())
			e.addUnquoted()
		}
		s.Triggers = append(s.Triggers, e)
	}
	return s
}

// isOurs reports whether a trigger of an external scaler is one of this scaler: by the name in its address,
// by the labels of the Service there, or by its keys. Other scalers have a key connection too, so one that
// names a queue has to be there as well.
func (v *View) isOurs(e *Entry) bool {
	if strings.Contains(e.Address.Host, "backlog-scaler") {
		return true
	}
	service := v.service(e.Address)
	if service != nil && service.Labels()["app.kubernetes.io/name"] == "backlog-scaler" {
		return true
	}
	connected, names := false, e.Metadata["policy"] != ""
	for key := range e.Metadata {
		plain := strings.TrimSuffix(key, "FromEnv")
		connected = connected || plain == "connection" || plain == "policy"
		names = names || v.Triggers != nil && v.Triggers.NamesQueue(plain)
	}
	return connected && names
}

func (e *Entry) parse(parser Parser, namespace string) {
	var err error
	e.Parsed, e.Unseen, err = parser.Parse(namespace, e.Metadata)
	e.Valid = err == nil
	var faults trigger.MetadataError
	switch {
	case errors.As(err, &faults):
		for _, fault := range faults {
			// The value is in the environment of a container, and is not read here.
			if _, fromEnv := e.Metadata[fault.Key+"FromEnv"]; !fromEnv {
				e.Faults = append(e.Faults, fault)
			}
		}
	case err != nil:
		e.Denied = err
	}
}

// addUnquoted adds a fault for each key whose value is no text, which an API server does not accept.
func (e *Entry) addUnquoted() {
	fields, _ := e.At("metadata").V.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if _, text := fields[key].(string); !text {
			e.Faults = append(e.Faults, trigger.Fault{Key: key, Text: object.Value{V: fields[key]}.Shown() + ": KEDA takes text alone, write it in quotes"})
		}
	}
}

// Paused reports whether KEDA leaves the replicas alone.
func (s *Scaled) Paused() bool {
	annotations := s.Annotations()
	_, atNumber := annotations[AnnotationPrefix+"paused-replicas"]
	return atNumber || object.IsTrue(annotations[AnnotationPrefix+"paused"])
}

// AnnotationPrefix is that of KEDA's annotations:
// https://github.com/kedacore/keda/blob/v2.21.0/apis/keda/v1alpha1/scaledobject_types.go#L58
const AnnotationPrefix = "autoscaling.keda.sh/"

// Each calls f for each trigger of the scaler.
func (v *View) Each(f func(s *Scaled, e *Entry)) {
	for _, s := range v.Scaled {
		for _, e := range s.Triggers {
			if e.Ours {
				f(s, e)
			}
		}
	}
}

// EachScaled calls f for each ScaledObject with a trigger of the scaler.
func (v *View) EachScaled(f func(s *Scaled, ours []*Entry)) {
	for _, s := range v.Scaled {
		ours := slices.DeleteFunc(slices.Clone(s.Triggers), func(e *Entry) bool { return !e.Ours })
		if !s.Job && len(ours) > 0 {
			f(s, ours)
		}
	}
}

// StatedDuration returns how long the longest job takes by the annotation of an object; 0 without one.
func StatedDuration(o *object.Object) time.Duration {
	d, err := time.ParseDuration(o.Annotations()[DurationAnnotation])
	if err != nil || d <= 0 {
		return 0
	}
	return d
}

// A JobLength is how long a job of a workload takes at least.
type JobLength struct {
	time.Duration

	// Source says what says so.
	Source string
}

// JobLength returns what is known of the length of a job; zero if nothing is: what an annotation says, else
// what follows from the throughput that the running scaler has measured, or that a trigger states. A replica
// that finishes t messages in a second, one at a time, needs 1/t for each; with several at a time it needs
// more.
func (v *View) JobLength(s *Scaled) JobLength {
	objects := []*object.Object{s.Object}
	if !s.Job {
		objects = append(objects, v.Workload(s.Target))
	}
	for _, o := range objects {
		if o == nil {
			continue
		}
		if d := StatedDuration(o); d > 0 {
			return JobLength{d, "a job takes up to " + d.String() + " (" + DurationAnnotation + ")"}
		}
	}
	var longest JobLength
	for _, e := range s.Triggers {
		if t := v.learned(s, e); t.PerSecond > 0 {
			each := time.Duration(float64(time.Second) / t.PerSecond)
			if each > longest.Duration {
				longest = JobLength{each, fmt.Sprintf("the scaler has measured that a replica takes at least %s for a message on average (signal %s)", each.Round(time.Second/10), t.Signal)}
			}
		}
		if !e.Valid || e.Parsed.Policy.DrainTime <= 0 || e.Parsed.Policy.Target <= 0 {
			continue
		}
		// The target is the throughput in messages per second, times the drain time.
		each := time.Duration(float64(e.Parsed.Policy.DrainTime) / e.Parsed.Policy.Target)
		if each > longest.Duration {
			longest = JobLength{each, "by its throughput a replica takes at least " + each.Round(time.Second/10).String() + " for a message"}
		}
	}
	return longest
}

// Behavior returns a direction of the behavior of the HPA.
func (s *Scaled) Behavior(direction string) object.Value {
	return s.At("spec", "advanced", "horizontalPodAutoscalerConfig", "behavior", direction)
}

// HasOurs reports whether a trigger is one of the scaler.
func (s *Scaled) HasOurs() bool {
	for _, e := range s.Triggers {
		if e.Ours {
			return true
		}
	}
	return false
}

// DurationAnnotation is the annotation that says how long the longest job of a workload takes, such as
// 10m.
const DurationAnnotation = "backlog-scaler.github.io/job-duration"

// learned returns the throughput that the running scaler has measured for the policy of a trigger; zero
// without one.
func (v *View) learned(s *Scaled, e *Entry) Throughput {
	if v.Scaler == nil || e.Metadata["policy"] == "" {
		return Throughput{}
	}
	return v.Scaler.Learned[s.Namespace()+"/"+e.Metadata["policy"]]
}
