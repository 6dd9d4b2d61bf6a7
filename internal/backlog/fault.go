package backlog

import "errors"

// A Fault is what may be wrong with settings, as a text for the author of the configuration that
// begins with the key.
type Fault struct {
	// Present reports that the settings have the fault.
	Present bool
	Text    string
}

// JoinFaults returns the faults that are present as one error; nil if none is.
func JoinFaults(faults ...Fault) error {
	var errs []error
	for _, f := range faults {
		if f.Present {
			errs = append(errs, errors.New(f.Text))
		}
	}
	return errors.Join(errs...)
}
