package backlog

import (
	"errors"
	"strings"
)

// An advised error is one with a known remedy.
type advised struct {
	err    error
	change string
}

// changeMark separates an error and its advice.
const changeMark = "; change: "

func (a *advised) Error() string { return a.err.Error() + changeMark + a.change }

func (a *advised) Unwrap() error { return a.err }

// WithAdvice returns err with the change that remedies it: a setting and its value, such as
// "tls: true", or a place outside of the configuration. Without a change it returns err.
func WithAdvice(err error, change string) error {
	if err == nil || change == "" {
		return err
	}
	return &advised{err: err, change: change}
}

// Advice returns the text of err without its advice, and the advice; empty if it has none.
func Advice(err error) (text, change string) {
	if err == nil {
		return "", ""
	}
	var known *advised
	if !errors.As(err, &known) {
		return err.Error(), ""
	}
	return strings.Replace(err.Error(), changeMark+known.change, "", 1), known.change
}
