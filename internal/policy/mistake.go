package policy

import "errors"

// A Part is a part of a policy that a mistake is in.
type Part uint8

// The parts of a policy.
const (
	// PartSpec is any other part.
	PartSpec Part = iota
	// PartFormula is the formula, or a limiter.
	PartFormula
	PartSchedule
	PartSignal
)

// A SpecError is one mistake in a policy.
type SpecError struct {
	Part Part
	// Err has the field, its value and what is allowed.
	Err error
}

func (e *SpecError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *SpecError) Unwrap() error { return e.Err }

// Mistakes returns those of an error of New, in the order of the fields.
func Mistakes(err error) []*SpecError {
	var all []*SpecError
	for _, single := range split(err) {
		if mistake, ok := errors.AsType[*SpecError](single); ok {
			all = append(all, mistake)
		}
	}
	return all
}

// mistakes are collected by New.
type mistakes []error

// add adds each of the joined errors as a mistake in a part.
func (m *mistakes) add(part Part, err error) {
	for _, single := range split(err) {
		*m = append(*m, &SpecError{Part: part, Err: single})
	}
}

// split returns the errors that were joined, also where some of them were joined before; the error
// itself if it is a single one.
func split(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var all []error
	for _, single := range joined.Unwrap() {
		all = append(all, split(single)...)
	}
	return all
}
