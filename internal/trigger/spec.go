package trigger

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// The bounds of the common keys.
const (
	maxHold           = time.Hour
	minStaleness      = time.Second
	maxStaleness      = time.Hour
	minDrainTime      = time.Second
	maxDrainTime      = 24 * time.Hour
	minAge            = time.Second
	maxAge            = 24 * time.Hour
	minRateWindow     = 10 * time.Second
	defaultRateWindow = time.Minute
	maxRateWindow     = time.Hour
	maxReplicas       = 1_000_000
	maxWeight         = 1000

	// minTarget is the smallest target: KEDA writes values and targets with three
	// decimals.
	minTarget = 0.001
	// maxTarget is the largest target: times maxReplicas it stays below what KEDA can pass
	// to the HPA (decision.MaxValue).
	maxTarget = 1e9
)

// policy reads the common parameters.
func (p *parser) policy(layout backlog.Layout) decision.Spec {
	spec := decision.Spec{
		Target: DefaultTarget, Count: decision.CountAll,
		MissingIsError: layout.MissingIsError, SharesKeys: layout.SharesKeys,
	}
	var throughput float64
	given := map[string]bool{}
	for _, parameter := range policyParameters() {
		text := p.text(parameter)
		if text == "" {
			continue
		}
		given[parameter.Name] = true
		value, _ := parameter.Parse(text) // text has reported the fault already
		var err error
		switch v := value.(type) {
		case float64:
			err = applyNumber(&spec, &throughput, parameter.Name, v)
		case time.Duration:
			err = applyDuration(&spec, parameter.Name, v)
		case int64:
			applyReplicas(&spec, parameter.Name, v)
		case []string:
			spec.Count, err = decision.ParseCounts(v)
		case string:
			err = applyText(&spec, parameter.Name, v)
		}
		if err != nil {
			p.fault(parameter.Name, "%s: %s", p.shown(parameter.Name, text), p.wrong(parameter, err))
		}
	}
	spec.HeldIsReady = layout.ReadyIncludesHeld
	if spec.Jobs != "" && !given[keyCount] {
		spec.Count = spec.Jobs.Count()
	}
	if !given[keyHoldActive] {
		spec.HoldActive = spec.Hold
	}
	spec.Traceless = spec.HoldActive > 0 && layout.Passing == "" && !layout.Measures
	p.checkDrain(&spec, throughput, given)
	p.checkTogether(spec, layout, given)
	return spec
}

// checkTogether reports parameters that do not fit the layout or each other.
func (p *parser) checkTogether(spec decision.Spec, layout backlog.Layout, given map[string]bool) {
	if layout.Measures {
		p.checkMeasured(layout, given)
	} else if given[keyMaxAge] && layout.Name != "" && layout.Oldest == "" {
		p.fault(keyMaxAge, "of a %s it is not known how long messages wait", layout.Name)
	}
	if spec.Jobs != "" {
		p.checkJobs(&spec, layout, given)
	}
	if spec.MaxReplicas > 0 && spec.MinReplicas > spec.MaxReplicas {
		p.fault(keyMinReplicas, "%d is more than maxReplicas, which is %d", spec.MinReplicas, spec.MaxReplicas)
	}
}

// checkJobs reports what would give a message of a ScaledJob two Jobs, or none.
func (p *parser) checkJobs(spec *decision.Spec, layout backlog.Layout, given map[string]bool) {
	for _, key := range []string{keyDrainTime, keyMaxAge, keyHold, keyHoldActive, keyMinReplicas, keyMaxStaleness} {
		if given[key] {
			p.fault(key, "does not go with scaledJob: KEDA would start Jobs for messages that are done")
		}
	}
	held := spec.Jobs.CountsHeld()
	switch {
	case layout.Name == "":
	case layout.Measures:
		p.fault(keyScaledJob, "is for the messages of a queue, and a %s measures a number", layout.Name)
	case held && layout.InFlightIsLate:
		p.fault(keyScaledJob, "%s subtracts the Jobs at work, and a %s shows what they hold seconds late; want accurate", spec.Jobs, layout.Name)
	case !held && layout.ReadyIncludesHeld:
		p.fault(keyScaledJob, "%s is for messages that wait, and a %s counts them until they are done; want default", spec.Jobs, layout.Name)
	case spec.Count != spec.Jobs.Count():
		p.fault(keyCount, "%s does not go with scaledJob: %s, which needs %s", spec.Count, spec.Jobs, spec.Jobs.Count())
	}
}

// checkHeld reports a ScaledJob that needs what workers hold of a queue, where that is not known.
func (p *parser) checkHeld(t Trigger, layout backlog.Layout) {
	if layout.Name == "" || layout.Measures || layout.ReadyIncludesHeld || !t.Policy.Jobs.CountsHeld() {
		return
	}
	if err := layout.CountsInFlight(t.Query); err != nil {
		p.fault(keyScaledJob, "%s subtracts the Jobs at work, and %s; want accurate", t.Policy.Jobs, err)
	}
}

// checkMeasured reports parameters that are about messages.
func (p *parser) checkMeasured(layout backlog.Layout, given map[string]bool) {
	for _, key := range []string{keyCount, keyDrainTime, keyMaxAge, keyMissing} {
		if given[key] {
			p.fault(key, "is for the messages of a queue, and a %s measures a number", layout.Name)
		}
	}
}

// checkDrain makes a target of the drain time, if there is one, and reports what does
// not go together.
func (p *parser) checkDrain(spec *decision.Spec, throughput float64, given map[string]bool) {
	switch {
	case given[keyDrainTime] && !given[keyThroughput]:
		p.fault(keyDrainTime, "needs throughput as well: the messages that one replica finishes in a second")
	case given[keyThroughput] && !given[keyDrainTime]:
		p.fault(keyThroughput, "needs drainTime as well: within which time the backlog is to be gone")
	case given[keyRateWindow] && !given[keyDrainTime]:
		p.fault(keyRateWindow, "is for drainTime, which is not set")
	case given[keyDrainTime]:
		if given[keyTarget] {
			p.fault(keyTarget, "does not go with drainTime, for which the target is throughput times drainTime")
		}
		target := throughput * spec.DrainTime.Seconds()
		if throughput > 0 && spec.DrainTime > 0 && !(target >= minTarget && target <= maxTarget) {
			p.fault(keyThroughput, "times drainTime is %g messages per replica, want a number from %g to %g", target, minTarget, maxTarget)
		}
		spec.Target = thousandths(target)
		if !given[keyRateWindow] {
			spec.RateWindow = defaultRateWindow
		}
	}
}

// checkSeveral records parameters for several queues if the trigger names one.
func (p *parser) checkSeveral(t Trigger, layout backlog.Layout) {
	if layout.Name == "" {
		return
	}
	if layout.Patterns != "" {
		queues, err := backlog.ParseQueues(t.Query.Queue)
		if err != nil {
			return
		}
		if queues.Several() {
			p.checkWeights(t.Policy.Weights, queues, layout.Name)
			return
		}
	}
	if len(t.Policy.Weights) > 0 {
		p.fault(keyWeights, "is for several queues, and %s names one", layout.Name)
	}
	if t.Policy.Largest {
		p.fault(keyCombine, "is for several queues, and %s names one", layout.Name)
	}
}

// checkWeights reports weights of queues that the trigger does not name.
func (p *parser) checkWeights(weights []decision.Weight, queues backlog.Queues, layout string) {
	n := newNamed(queues)
	for _, w := range weights {
		if !n.has(w.Queues) && len(p.faults) <= maxFaults {
			p.fault(keyWeights, "%s is none of the queues that %s names%s", p.shown(keyWeights, w.Queues), layout, p.suggest(w.Queues, queues, keyWeights, layout))
		}
	}
}

func applyNumber(spec *decision.Spec, throughput *float64, name string, v float64) error {
	switch {
	case v <= 0 && name != keyActivation:
		return errors.New("want a number greater than 0")
	case v < 0:
		return errors.New("want a number that is not negative")
	case v > decision.MaxValue, name == keyTarget && v > maxTarget:
		return fmt.Errorf("want at most %g", largest(name))
	case name == keyTarget:
		spec.Target = thousandths(v)
	case name == keyThroughput:
		*throughput = v
	default:
		spec.Activation = v
	}
	return nil
}

// largest returns the largest value of a number.
func largest(name string) float64 {
	if name == keyTarget {
		return maxTarget
	}
	return decision.MaxValue
}

// thousandths rounds a target as KEDA does, so that a number of replicas times the target gives
// exactly that number of replicas.
func thousandths(target float64) float64 {
	return max(minTarget, math.Round(target*1000)/1000)
}

func applyDuration(spec *decision.Spec, name string, v time.Duration) error {
	within := func(place *time.Duration, least, most time.Duration) error {
		if v < least || v > most {
			return fmt.Errorf("want a duration from %s to %s", least, most)
		}
		*place = v
		return nil
	}
	switch name {
	case keyDrainTime:
		return within(&spec.DrainTime, minDrainTime, maxDrainTime)
	case keyRateWindow:
		return within(&spec.RateWindow, minRateWindow, maxRateWindow)
	case keyMaxAge:
		return within(&spec.MaxAge, minAge, maxAge)
	case keyMaxStaleness:
		return within(&spec.MaxStaleness, minStaleness, maxStaleness)
	}
	if v > maxHold {
		return fmt.Errorf("want at most %s", maxHold)
	}
	if name == keyHold {
		spec.Hold = v
	} else {
		spec.HoldActive = v
	}
	return nil
}

func applyReplicas(spec *decision.Spec, name string, v int64) {
	if name == keyMinReplicas {
		spec.MinReplicas = v
	} else {
		spec.MaxReplicas = v
	}
}

func applyText(spec *decision.Spec, name, v string) (err error) {
	switch name {
	case keyMissing:
		spec.MissingIsError = v == missingError
	case keyScaledJob:
		spec.Jobs = decision.JobStrategy(v)
	case keyCombine:
		spec.Largest = v == combineMax
	case keyWeights:
		spec.Weights, err = parseWeights(v)
	}
	return err
}

// parseWeights reads weights such as "critical=3,low-*=0.5".
func parseWeights(text string) ([]decision.Weight, error) {
	entries, err := backlog.ParseQueues(text)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxWeights {
		return nil, fmt.Errorf("%d weights, want at most %d", len(entries), maxWeights)
	}
	var weights []decision.Weight
	for _, entry := range entries {
		i := max(0, strings.LastIndex(entry, "="))
		name, number := strings.TrimSpace(entry[:i]), strings.TrimSpace(strings.TrimPrefix(entry[i:], "="))
		if name == "" {
			return nil, fmt.Errorf("%q is no weight, want NAME=NUMBER", shorten(entry))
		}
		value, err := strconv.ParseFloat(number, 64)
		if err != nil || !(value > 0 && value <= maxWeight) {
			if backlog.RedactValue(entry) != entry {
				number = shorten(entry)
			}
			return nil, fmt.Errorf("%q is no weight, want a number above 0, at most %d", shorten(number), maxWeight)
		}
		for _, w := range weights {
			if w.Queues == name {
				return nil, fmt.Errorf("%q is there twice", shorten(name))
			}
		}
		weights = append(weights, decision.Weight{Queues: name, Value: value})
	}
	return weights, nil
}
