package candidate

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Settings change a ScaledObject, and the AutoscalerPolicy that it names. What is zero or nil stays as it
// is.
type Settings struct {
	PolicySettings

	// Target is the number of messages for one replica, and DrainTime the time in which replicas of
	// this Throughput finish; one of the two.
	Target                float64
	DrainTime, RateWindow time.Duration
	Throughput            float64
	Hold                  *time.Duration
	Min, Max              *int32
	// DownWindow is the stabilization window of scaleDown.
	DownWindow *time.Duration
	// FastUp lets the HorizontalPodAutoscaler raise replicas as fast as it can.
	FastUp    bool
	Tolerance *float64
}

// Changes returns how many settings are changed.
func (s *Settings) Changes() int {
	n := 0
	for _, changed := range []bool{
		s.Target > 0 || s.DrainTime > 0, s.RateWindow > 0, s.Hold != nil, s.Min != nil, s.Max != nil, s.DownWindow != nil, s.FastUp, s.Tolerance != nil,
	} {
		if changed {
			n++
		}
	}
	return n + s.changes()
}

// String returns the settings in one line.
func (s *Settings) String() string {
	var words []string
	add := func(name string, value any) { words = append(words, fmt.Sprintf("%s %v", name, value)) }
	if s.Target > 0 {
		add("target", plainNumber(s.Target))
	}
	if s.DrainTime > 0 {
		add("drainTime", s.DrainTime)
	}
	if s.RateWindow > 0 {
		add("rateWindow", s.RateWindow)
	}
	if s.Hold != nil {
		add("hold", *s.Hold)
	}
	if s.Min != nil {
		add("min", *s.Min)
	}
	if s.Max != nil {
		add("max", *s.Max)
	}
	if s.DownWindow != nil {
		add("scaleDown window", *s.DownWindow)
	}
	if s.FastUp {
		words = append(words, "scaleUp at once")
	}
	if s.Tolerance != nil {
		add("tolerance", plainNumber(*s.Tolerance))
	}
	words = append(words, s.words()...)
	if len(words) == 0 {
		return "as today"
	}
	return strings.Join(words, ", ")
}

func plainNumber(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }

// With returns the candidate with changed settings, read again from its YAML, so that it is what the
// YAML says.
func (r *Reader) With(c *Candidate, s *Settings) (Candidate, error) {
	document, err := copied(c.Document)
	if err != nil {
		return Candidate{}, err
	}
	objects := objects{}
	if c.PolicyDocument == nil {
		err = s.apply(document)
	} else {
		err = r.withPolicy(c, s, document, &objects)
	}
	if err != nil {
		return Candidate{}, err
	}
	// The numbers of lines are those of the file. Texts are read again.
	if document, err = copied(document); err != nil {
		return Candidate{}, err
	}
	changed, err := r.object(document, &objects)
	changed.Name, changed.Start = c.Name, c.Start
	return changed, err
}

// YAML returns the ScaledObject, and the AutoscalerPolicy that its only trigger names before it.
func (c *Candidate) YAML() ([]byte, error) {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	var err error
	if c.PolicyDocument != nil {
		err = encoder.Encode(c.PolicyDocument)
	}
	if err := errors.Join(err, encoder.Encode(c.Document), encoder.Close()); err != nil {
		return nil, fmt.Errorf("write the ScaledObject: %w", err)
	}
	return b.Bytes(), nil
}

// copied returns a copy of a document.
func copied(document *yaml.Node) (*yaml.Node, error) {
	data, err := yaml.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("write the ScaledObject: %w", err)
	}
	var again yaml.Node
	if err := yaml.Unmarshal(data, &again); err != nil {
		return nil, fmt.Errorf("parse YAML: %w", err)
	}
	return again.Content[0], nil
}

// Tunable reports, as an error, a candidate whose settings cannot be changed one by one.
func (c *Candidate) Tunable() error {
	if len(c.Triggers) != 1 || c.Triggers[0].BuiltIn != nil {
		return errors.New("want a ScaledObject with one trigger of the scaler")
	}
	return nil
}

// apply changes a ScaledObject whose trigger names a queue.
func (s *Settings) apply(document *yaml.Node) error {
	spec := child(document, "spec")
	triggers := find(spec, "triggers")
	if triggers == nil || len(triggers.Content) != 1 {
		return errors.New("triggers: want one")
	}
	metadata := child(triggers.Content[0], "metadata")
	s.applySize(metadata)
	if s.Hold != nil {
		set(metadata, "hold", quoted(s.Hold.String()))
	}
	if s.Min != nil {
		set(spec, "minReplicaCount", integer(int64(*s.Min)))
	}
	if s.Max != nil {
		set(spec, "maxReplicaCount", integer(int64(*s.Max)))
	}
	s.applyBehavior(spec)
	return nil
}

// applySize changes the target or the drain time of a trigger.
func (s *Settings) applySize(metadata *yaml.Node) {
	switch {
	case s.DrainTime > 0:
		remove(metadata, "target")
		set(metadata, "drainTime", quoted(s.DrainTime.String()))
		set(metadata, "throughput", quoted(plainNumber(s.Throughput)))
	case s.Target > 0:
		remove(metadata, "drainTime", "throughput", "rateWindow")
		set(metadata, "target", quoted(plainNumber(s.Target)))
	}
	if s.RateWindow > 0 {
		set(metadata, "rateWindow", quoted(s.RateWindow.String()))
	}
}

// applyBehavior changes the behavior of the HorizontalPodAutoscaler.
func (s *Settings) applyBehavior(spec *yaml.Node) {
	if s.DownWindow == nil && !s.FastUp && s.Tolerance == nil {
		return
	}
	behavior := child(child(child(spec, "advanced"), "horizontalPodAutoscalerConfig"), "behavior")
	if s.DownWindow != nil {
		set(child(behavior, "scaleDown"), "stabilizationWindowSeconds", integer(int64(s.DownWindow.Seconds())))
	}
	if s.FastUp {
		up := child(behavior, "scaleUp")
		set(up, "policies", &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{rate("Percent", 900), rate("Pods", 100)}})
	}
	if s.Tolerance != nil {
		for _, direction := range []string{"scaleUp", "scaleDown"} {
			set(child(behavior, direction), "tolerance", quoted(plainNumber(*s.Tolerance)))
		}
	}
}

// rate returns a policy of a behavior, each 15 s.
func rate(kind string, value int64) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	set(node, "type", &yaml.Node{Kind: yaml.ScalarNode, Value: kind})
	set(node, "value", integer(value))
	set(node, "periodSeconds", integer(15))
	return node
}

func quoted(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: text}
}

func integer(n int64) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(n, 10)}
}

// find returns the value of a key of a mapping; nil if there is none.
func find(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	return nil
}

// child returns the mapping of a key, which it adds where there is none.
func child(mapping *yaml.Node, key string) *yaml.Node {
	if found := find(mapping, key); found != nil && found.Kind == yaml.MappingNode {
		return found
	}
	added := &yaml.Node{Kind: yaml.MappingNode}
	set(mapping, key, added)
	return added
}

// set sets the value of a key.
func set(mapping *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			mapping.Content[i+1] = value
			return
		}
	}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

// remove removes keys.
func remove(mapping *yaml.Node, keys ...string) {
	for _, key := range keys {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if mapping.Content[i].Value == key {
				mapping.Content = append(mapping.Content[:i], mapping.Content[i+2:]...)
				break
			}
		}
	}
}
