package layout

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// maxOtherRegistries is how many registries of other prefixes are asked about a queue.
const maxOtherRegistries = 20

// OtherPrefixes finds the registries of other prefixes, for the hint about a queue that a
// registry does not know: an empty queue has no other key by which it shows itself.
type OtherPrefixes struct {
	Keys KeySearch
	// FixedKey is the end of a registry's key that depends on no parameter, and Parameter the
	// name of the parameter on which the rest depends.
	FixedKey, Parameter string

	// sets were asked at the moment asked, and the answer was text.
	sets  []string
	asked time.Time
	text  string
}

// registries returns the keys of registries of other prefixes, those that are known.
func (e *OtherPrefixes) registries(own []string, now time.Time) []string {
	if e == nil {
		return nil
	}
	var all []string
	for _, key := range e.Keys.Hint(Search{Type: "set", Pattern: "*" + EscapePattern(e.FixedKey)}, now).Keys {
		if !slices.Contains(own, key) {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all[:min(len(all), maxOtherRegistries)]
}

// fresh reports whether the answer of the same registries is not a minute old.
func (e *OtherPrefixes) fresh(sets []string, now time.Time) bool {
	return now.Sub(e.asked) < HintInterval && slices.Equal(sets, e.sets)
}

// complete adds the answer to the hint of a reading.
func (e *OtherPrefixes) complete(r backlog.Reading) Outcome {
	if e.text != "" {
		r.Hint += "; " + e.text
	}
	return Done(r)
}

// An otherPrefixesStep asks registries of other prefixes about a queue that does not exist.
type otherPrefixesStep struct {
	*OtherPrefixes
	member  string
	reading backlog.Reading
}

// Commands implements Step.
func (s *otherPrefixesStep) Commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, set := range s.sets {
		dst = append(dst, resp.Command{Key: set, Args: []any{"SISMEMBER", set, s.member}})
	}
	return dst
}

// Outcome implements Step.
func (s *otherPrefixesStep) Outcome(replies []resp.Reply, now time.Time) Outcome {
	c := resp.NewDecoder(replies)
	var prefixes []string
	for _, set := range s.sets {
		// A registry of another tenant may be out of reach.
		if c.Allowed() && c.Count() > 0 && len(prefixes) < MaxNames {
			prefixes = append(prefixes, strconv.Quote(strings.TrimSuffix(set, s.FixedKey)))
		}
	}
	if c.Err() != nil {
		return Fail(c.Err())
	}
	s.asked, s.text = now, ""
	if len(prefixes) > 0 {
		s.text = "a queue of this name exists with the " + s.Parameter + " " + strings.Join(prefixes, ", ")
	}
	return s.complete(s.reading)
}

// missing is the outcome for a queue that the registry does not know.
func (r *Registry) missing(reading backlog.Reading, now time.Time) Outcome {
	e := r.OtherPrefixes
	sets := e.registries(r.Sets, now)
	switch {
	case len(sets) == 0 || r.Member == "":
		return Done(reading)
	case e.fresh(sets, now):
		return e.complete(reading)
	default:
		e.sets = sets
		return Outcome{Next: &otherPrefixesStep{OtherPrefixes: e, member: r.Member, reading: reading}}
	}
}
