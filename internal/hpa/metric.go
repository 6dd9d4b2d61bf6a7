package hpa

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

// A Milli is a number in thousandths, as Kubernetes carries metrics.
type Milli int64

// Thousandths converts a value or a target as KEDA does: to three decimals, and to zero if it
// is negative or not a number
// (pkg/scalers/scaler.go:162-169). So 0.0004 is 0, 0.0006 is 0.001, and 2.5 is 2.500.
func Thousandths(value float64) Milli {
	if math.IsNaN(value) || math.IsInf(value, 0) || value < 0 {
		return 0
	}
	digits := strings.Replace(strconv.FormatFloat(value, 'f', 3, 64), ".", "", 1)
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return math.MaxInt64 // out of range, and Kubernetes stops there too
	}
	return Milli(n)
}

// Float returns the number itself.
func (m Milli) Float() float64 { return float64(m) / 1000 }

// A TargetType is how a metric is compared with its target.
type TargetType uint8

// The types of a target that an external metric can have.
const (
	// AverageValue is a total that is divided by the target: KEDA's default.
	AverageValue TargetType = iota
	// Value is compared with the target, and the ready replicas are scaled by the ratio.
	Value
)

// A Metric is one external metric at a sync.
type Metric struct {
	Name   string
	Type   TargetType
	Value  Milli
	Target Milli // more than zero
	// Err is why the metric could not be read; nil if it was.
	Err error
}

var errTarget = errors.New("the target is not above zero")

// tolerance is the part of the target by which a metric may be above or below it.
type tolerance struct {
	up, down float64
}

func (t tolerance) covers(ratio float64) bool { return 1-t.down <= ratio && ratio <= 1+t.up }

// replicas returns the count that the metric asks for (replica_calculator.go:282-420).
//
// An AverageValue of 1,800 with a target of 120 wants ceil(1800/120) = 15 replicas.
// With 14 replicas nothing changes, because 1800/(120*14) = 1.07 is within 10 %.
//
// A Value of 1,800 with a target of 120 and 2 ready replicas wants ceil(15*2) = 30,
// and then, if the value stays, 15 times as many again.
func (m Metric) replicas(scale Scale, allowed tolerance) (int32, error) {
	if m.Err != nil {
		return 0, m.Err
	}
	if m.Target <= 0 {
		return 0, errTarget
	}
	wanted := float64(m.Value) / float64(m.Target)
	if m.Type == Value {
		if allowed.covers(wanted) {
			return scale.Spec, nil
		}
		return ceil(wanted * float64(scale.Ready)), nil
	}
	// Of a workload without any replica the ratio is infinite or no number. Neither
	// is within the tolerance.
	if allowed.covers(float64(m.Value) / (float64(m.Target) * float64(scale.Status))) {
		return scale.Status, nil
	}
	return ceil(wanted), nil
}

// ceil rounds up, to the largest count at most.
func ceil(replicas float64) int32 {
	if replicas > math.MaxInt32 {
		return math.MaxInt32
	}
	return int32(math.Ceil(replicas))
}
