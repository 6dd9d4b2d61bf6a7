package decision

import "math"

// deadband is the part of a replica by which a value must change to be reported.
const deadband = 0.1

// unlessWithinDeadband is the last reported value if the new one differs from it by less
// than the deadband, on the same side of the activation.
func (m *maker) unlessWithinDeadband(spec *Spec, lastReported float64) float64 {
	sameSide := (lastReported > spec.Activation) == (m.Value > spec.Activation)
	if lastReported > 0 && m.Value > 0 && sameSide && math.Abs(m.Value-lastReported) < deadband*spec.Target {
		return lastReported
	}
	return m.Value
}

// atLeastMinReplicas raises the value of an active trigger to its minimum. The bounds come
// last, so they are exact.
func (m *maker) atLeastMinReplicas(spec *Spec) float64 {
	if !m.Active || spec.MinReplicas <= 0 {
		return m.Value
	}
	return max(m.Value, float64(spec.MinReplicas)*spec.Target)
}

// atMostMaxReplicas bounds the value by the trigger's maximum.
func (m *maker) atMostMaxReplicas(spec *Spec) float64 {
	if spec.MaxReplicas <= 0 {
		return m.Value
	}
	return min(m.Value, float64(spec.MaxReplicas)*spec.Target)
}
