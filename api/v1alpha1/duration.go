package v1alpha1

import "time"

// Duration is a length of time as Go writes it, such as "30s", "5m" or "1h30m".
// +kubebuilder:validation:Format=duration
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
type Duration string

// Duration returns the length; zero if the text is empty, or if it is none, which the API server
// does not accept.
func (d Duration) Duration() time.Duration {
	length, err := time.ParseDuration(string(d))
	if err != nil {
		return 0
	}
	return length
}
