package doctor

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A scaled is a ScaledObject or a ScaledJob.
type scaled struct {
	*object.Object
	job      bool
	target   ref
	triggers []*entry
}

// An entry is one trigger of a ScaledObject or a ScaledJob.
type entry struct {
	object.Value
	index    int
	kind     string
	metadata map[string]string
	// ours reports that it is a trigger of this scaler.
	ours bool
	// address is where KEDA finds the scaler.
	address address
	// valid reports that the trigger is known to have no faults, and parsed is the trigger then. unseen is what its layout cannot count of what workers
	// hold; nil if all is counted.
	valid  bool
	parsed trigger.Trigger
	unseen error
	// faults are those of its metadata, and denied is the error of its connection.
	faults trigger.MetadataError
	denied error
}

func newScaled(v *view, o *object.Object) *scaled {
	s := &scaled{Object: o, job: o.Kind == object.ScaledJobs, target: targetOf(o)}
	for i, fields := range o.At("spec", "triggers").List() {
		e := &entry{Value: fields, index: i, kind: fields.At("type").Text(), metadata: fields.At("metadata").Texts()}
		e.address = parseAddress(e.metadata["scalerAddress"])
		e.ours = (e.kind == "external" || e.kind == "external-push") && v.isOurs(e)
		if e.ours && v.Triggers != nil {
			e.parse(v.Triggers, o.Namespace())
			e.addUnquoted()
		}
		s.triggers = append(s.triggers, e)
	}
	return s
}

// isOurs reports whether a trigger of an external scaler is one of this scaler: by the name in its address,
// by the labels of the Service there, or by its keys. Other scalers have a key connection too, so one that
// names a queue has to be there as well.
func (v *view) isOurs(e *entry) bool {
	if strings.Contains(e.address.host, "backlog-scaler") {
		return true
	}
	service := v.service(e.address)
	if service != nil && service.Labels()["app.kubernetes.io/name"] == "backlog-scaler" {
		return true
	}
	connected, names := false, e.metadata["policy"] != ""
	for key := range e.metadata {
		plain := strings.TrimSuffix(key, "FromEnv")
		connected = connected || plain == "connection" || plain == "policy"
		names = names || v.Triggers != nil && v.Triggers.NamesQueue(plain)
	}
	return connected && names
}

func (e *entry) parse(parser Parser, namespace string) {
	var err error
	e.parsed, e.unseen, err = parser.Parse(namespace, e.metadata)
	e.valid = err == nil
	var faults trigger.MetadataError
	switch {
	case errors.As(err, &faults):
		for _, fault := range faults {
			// The value is in the environment of a container, and is not read here.
			if _, fromEnv := e.metadata[fault.Key+"FromEnv"]; !fromEnv {
				e.faults = append(e.faults, fault)
			}
		}
	case err != nil:
		e.denied = err
	}
}

// addUnquoted adds a fault for each key whose value is no text, which an API server does not accept.
func (e *entry) addUnquoted() {
	fields, _ := e.At("metadata").V.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if _, text := fields[key].(string); !text {
			e.faults = append(e.faults, trigger.Fault{Key: key, Text: object.Value{V: fields[key]}.Shown() + ": KEDA takes text alone, write it in quotes"})
		}
	}
}

// paused reports whether KEDA leaves the replicas alone.
func (s *scaled) paused() bool {
	annotations := s.Annotations()
	_, atNumber := annotations[annotationPrefix+"paused-replicas"]
	return atNumber || object.IsTrue(annotations[annotationPrefix+"paused"])
}

// annotationPrefix is that of KEDA's annotations:
// https://github.com/kedacore/keda/blob/v2.21.0/apis/keda/v1alpha1/scaledobject_types.go#L58
const annotationPrefix = "autoscaling.keda.sh/"

// each calls f for each trigger of the scaler.
func (v *view) each(f func(s *scaled, e *entry)) {
	for _, s := range v.scaled {
		for _, e := range s.triggers {
			if e.ours {
				f(s, e)
			}
		}
	}
}

// eachScaled calls f for each ScaledObject with a trigger of the scaler.
func (v *view) eachScaled(f func(s *scaled, ours []*entry)) {
	for _, s := range v.scaled {
		ours := slices.DeleteFunc(slices.Clone(s.triggers), func(e *entry) bool { return !e.ours })
		if !s.job && len(ours) > 0 {
			f(s, ours)
		}
	}
}

// statedDuration returns how long the longest job takes by the annotation of an object; 0 without one.
func statedDuration(o *object.Object) time.Duration {
	d, err := time.ParseDuration(o.Annotations()[DurationAnnotation])
	if err != nil || d <= 0 {
		return 0
	}
	return d
}

// A jobLength is how long a job of a workload takes at least, and what says so.
type jobLength struct {
	time.Duration
	source string
}

// jobLength returns what is known of the length of a job; zero if nothing is. A replica that finishes t
// messages in a second, one at a time, needs 1/t for each; with several at a time it needs more.
func (v *view) jobLength(s *scaled) jobLength {
	objects := []*object.Object{s.Object}
	if !s.job {
		objects = append(objects, v.workload(s.target))
	}
	for _, o := range objects {
		if o == nil {
			continue
		}
		if d := statedDuration(o); d > 0 {
			return jobLength{d, "a job takes up to " + d.String() + " (" + DurationAnnotation + ")"}
		}
	}
	var longest jobLength
	for _, e := range s.triggers {
		if !e.valid || e.parsed.Policy.DrainTime <= 0 || e.parsed.Policy.Target <= 0 {
			continue
		}
		// The target is the throughput in messages per second, times the drain time.
		each := time.Duration(float64(e.parsed.Policy.DrainTime) / e.parsed.Policy.Target)
		if each > longest.Duration {
			longest = jobLength{each, "by its throughput a replica takes at least " + each.Round(time.Second/10).String() + " for a message"}
		}
	}
	return longest
}
