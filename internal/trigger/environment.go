package trigger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// An environment holds the values that KEDA took from the environment of the scaled
// container, by their keys without "FromEnv". They may be secrets, so no fault repeats
// one: in its place stands the key.
type environment map[string]string

// add notes a value. Most triggers have none.
func (e *environment) add(key, value string) {
	if *e == nil {
		*e = environment{}
	}
	(*e)[key] = value
}

// keys returns the metadata keys of the environment whose texts are part of the query. A
// number, a duration or a choice is none: what it does shows anyway.
func (e environment) keys(layout backlog.Layout) []string {
	var keys []string
	for key := range e {
		text := key == layout.Name
		for _, parameter := range layout.Parameters {
			text = text || key == parameter.Name && (parameter.Kind == backlog.KindText || parameter.Kind == backlog.KindList)
		}
		if text {
			keys = append(keys, key+fromEnv)
		}
	}
	slices.Sort(keys)
	return keys
}

// minRepeated is how long a value is at least that is looked for in a fault, in bytes:
// what is shorter is in many a text by chance.
const minRepeated = 3

// repeated reports whether a text has one of the values in it.
func (e environment) repeated(text string) bool {
	for _, value := range e {
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '=' }) {
			part = strings.TrimSpace(part)
			quoted := strconv.Quote(shorten(part))
			for _, form := range []string{part, strings.TrimSuffix(quoted[1:len(quoted)-1], "...")} {
				if len(form) >= minRepeated && strings.Contains(text, form) {
					return true
				}
			}
		}
	}
	return false
}

// fault notes what is wrong with a key. The text has its values from shown.
func (p *parser) fault(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.environment.repeated(text) {
		from := slices.Sorted(maps.Keys(p.environment))
		for i := range from {
			from[i] = backlog.FromEnv(from[i] + fromEnv)
		}
		text = "not accepted with what comes from the environment: " + strings.Join(from, ", ")
	}
	p.faults.add(key, "%s", text)
}

// shown returns the value of a key, or a part of it, as a text may have it: in quotes, or
// where it came from.
func (p *parser) shown(key, value string) string {
	if _, private := p.environment[key]; private {
		return backlog.FromEnv(key + fromEnv)
	}
	return strconv.Quote(shorten(value))
}

// wrong returns what is wrong with the value of a parameter, which may repeat it only
// where it stands in the trigger.
func (p *parser) wrong(parameter backlog.Parameter, err error) error {
	if _, private := p.environment[parameter.Name]; !private || parameter.Kind != backlog.KindText && parameter.Kind != backlog.KindList && parameter.Kind != backlog.KindChoice {
		return err
	}
	if parameter.Name == keyWeights {
		return errors.New("want NAME=NUMBER, several separated by commas")
	}
	return errors.New("want " + parameter.Expects())
}

// suggest is suggest where the values of none of the keys came from the environment.
func (p *parser) suggest(word string, known []string, keys ...string) string {
	for _, key := range keys {
		if _, private := p.environment[key]; private {
			return ""
		}
	}
	return suggest(word, known)
}
