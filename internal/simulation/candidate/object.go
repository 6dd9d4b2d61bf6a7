package candidate

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// A scaledObject is the part of a ScaledObject that matters here:
// https://keda.sh/docs/2.21/reference/scaledobject-spec/
type scaledObject struct {
	Metadata struct {
		Namespace string `yaml:"namespace"`
		Name      string `yaml:"name"`
	} `yaml:"metadata"`
	Spec objectSpec `yaml:"spec"`
}

type objectSpec struct {
	PollingInterval       *int64        `yaml:"pollingInterval"`
	CooldownPeriod        *int64        `yaml:"cooldownPeriod"`
	InitialCooldownPeriod *int64        `yaml:"initialCooldownPeriod"`
	IdleReplicaCount      *int32        `yaml:"idleReplicaCount"`
	MinReplicaCount       *int32        `yaml:"minReplicaCount"`
	MaxReplicaCount       *int32        `yaml:"maxReplicaCount"`
	Fallback              any           `yaml:"fallback"`
	Triggers              []triggerSpec `yaml:"triggers"`
	Advanced              struct {
		ScalingModifiers struct {
			Formula string `yaml:"formula"`
		} `yaml:"scalingModifiers"`
		HorizontalPodAutoscalerConfig struct {
			Behavior *behavior `yaml:"behavior"`
		} `yaml:"horizontalPodAutoscalerConfig"`
	} `yaml:"advanced"`
}

type triggerSpec struct {
	Type       string         `yaml:"type"`
	MetricType string         `yaml:"metricType"`
	Metadata   map[string]any `yaml:"metadata"`
}

// metadata returns the metadata as texts: YAML reads a number where quotes are missing.
func (t *triggerSpec) metadata() map[string]string {
	texts := make(map[string]string, len(t.Metadata))
	for key, value := range t.Metadata {
		texts[key] = fmt.Sprint(value)
	}
	return texts
}

type behavior struct {
	ScaleUp   *rules `yaml:"scaleUp"`
	ScaleDown *rules `yaml:"scaleDown"`
}

type rules struct {
	StabilizationWindowSeconds *int64 `yaml:"stabilizationWindowSeconds"`
	SelectPolicy               string `yaml:"selectPolicy"`
	Tolerance                  any    `yaml:"tolerance"`
	Policies                   []struct {
		Type          string `yaml:"type"`
		Value         int32  `yaml:"value"`
		PeriodSeconds int64  `yaml:"periodSeconds"`
	} `yaml:"policies"`
}

// The bounds of a ScaledObject.
const (
	maxReplicas = 10_000
	maxSeconds  = 366 * 24 * 3600
)

// fill sets what KEDA and the HorizontalPodAutoscaler go by.
func (s *objectSpec) fill(c *Candidate) error {
	switch {
	case len(s.Triggers) == 0:
		return errors.New("triggers: missing, want at least one")
	case s.Advanced.ScalingModifiers.Formula != "":
		return errors.New("advanced.scalingModifiers: a formula of KEDA is not simulated; want triggers alone, or an AutoscalerPolicy with a formula")
	case s.Fallback != nil:
		c.Notes = append(c.Notes, "fallback is left out: in a simulation every read succeeds")
	}
	o := &c.Object
	o.Min, o.Max, o.Idle = valueOr(s.MinReplicaCount, 0), valueOr(s.MaxReplicaCount, hpa.DefaultMax), s.IdleReplicaCount
	var errs []error
	c.Polling = s.seconds("pollingInterval", s.PollingInterval, hpa.PollingInterval, &errs)
	o.Cooldown = s.seconds("cooldownPeriod", s.CooldownPeriod, hpa.DefaultCooldown, &errs)
	o.InitialCooldown = s.seconds("initialCooldownPeriod", s.InitialCooldownPeriod, 0, &errs)
	switch {
	case c.Polling == 0:
		errs = append(errs, errors.New("pollingInterval: want 1 or more seconds"))
	case o.Min < 0 || o.Max < 1 || o.Max > maxReplicas:
		errs = append(errs, fmt.Errorf("minReplicaCount %d, maxReplicaCount %d: want 0 or more, and 1 to %d", o.Min, o.Max, maxReplicas))
	case o.Min > o.Max:
		errs = append(errs, fmt.Errorf("minReplicaCount %d: want at most maxReplicaCount, %d", o.Min, o.Max))
	case o.Idle != nil && (*o.Idle < 0 || *o.Idle >= o.Min):
		errs = append(errs, fmt.Errorf("idleReplicaCount %d: want less than minReplicaCount, %d", *o.Idle, o.Min))
	}
	if b := s.Advanced.HorizontalPodAutoscalerConfig.Behavior; b != nil {
		up, err := b.ScaleUp.plain("scaleUp", hpa.DefaultUp())
		errs = append(errs, err)
		down, err := b.ScaleDown.plain("scaleDown", hpa.DefaultDown())
		errs = append(errs, err)
		o.Behavior = &hpa.Behavior{Up: up, Down: down}
	}
	return errors.Join(errs...)
}

func valueOr(value *int32, or int32) int32 {
	if value == nil {
		return or
	}
	return *value
}

func (*objectSpec) seconds(field string, value *int64, or time.Duration, errs *[]error) time.Duration {
	switch {
	case value == nil:
		return or
	case *value < 0 || *value > maxSeconds:
		*errs = append(*errs, fmt.Errorf("%s %d: want 0 to %d seconds", field, *value, maxSeconds))
	}
	return time.Duration(*value) * time.Second
}

// plain returns the rules of one direction; what is missing is as the API server completes it.
func (r *rules) plain(field string, plain hpa.Rules) (hpa.Rules, error) {
	if r == nil {
		return plain, nil
	}
	if w := r.StabilizationWindowSeconds; w != nil {
		if *w < 0 || *w > 3600 {
			return plain, fmt.Errorf("%s.stabilizationWindowSeconds %d: want 0 to 3600", field, *w)
		}
		plain.Stabilization = time.Duration(*w) * time.Second
	}
	switch r.SelectPolicy {
	case "", "Max":
	case "Min":
		plain.Select = hpa.SelectMin
	case "Disabled":
		plain.Select = hpa.SelectDisabled
	default:
		return plain, fmt.Errorf("%s.selectPolicy %q: want Max, Min or Disabled", field, backlog.Line(r.SelectPolicy))
	}
	if r.Tolerance != nil {
		tolerance, err := strconv.ParseFloat(fmt.Sprint(r.Tolerance), 64)
		if err != nil || !(tolerance >= 0) || math.IsInf(tolerance, 1) {
			return plain, fmt.Errorf("%s.tolerance %q: want a number such as 0.05", field, backlog.Line(fmt.Sprint(r.Tolerance)))
		}
		plain.Tolerance = tolerance
	}
	if len(r.Policies) == 0 {
		return plain, nil
	}
	var err error
	plain.Policies, err = r.policies(field)
	return plain, err
}

// policies returns the policies of one direction.
func (r *rules) policies(field string) ([]hpa.Policy, error) {
	policies := make([]hpa.Policy, 0, len(r.Policies))
	for _, p := range r.Policies {
		policy := hpa.Policy{Period: time.Duration(p.PeriodSeconds) * time.Second}
		switch p.Type {
		case "Pods":
			policy.Pods = p.Value
		case "Percent":
			policy.Percent = p.Value
		default:
			return nil, fmt.Errorf("%s.policies: type %q: want Pods or Percent", field, backlog.Line(p.Type))
		}
		if p.Value < 1 || p.PeriodSeconds < 1 || p.PeriodSeconds > 1800 {
			return nil, fmt.Errorf("%s.policies: value %d each %d s: want 1 or more, each 1 to 1800 s", field, p.Value, p.PeriodSeconds)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}
