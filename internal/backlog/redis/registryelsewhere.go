package redis

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// registriesElsewhere is how many registries of other prefixes are asked about a queue.
const registriesElsewhere = 20

// elsewhere finds the registries of other prefixes, for the hint about a queue that a
// registry does not know: an empty queue has no other key by which it shows itself.
type elsewhere struct {
	keys keySearch
	// fixed is the end of a registry's key that depends on no parameter, and prefixed the
	// name of the parameter on which the rest depends.
	fixed, prefixed string

	// sets were asked at the moment asked, and the answer was text.
	sets  []string
	asked time.Time
	text  string
}

// others returns the keys of registries of other prefixes, as far as they are known.
func (e *elsewhere) others(own []string, now time.Time) []string {
	if e == nil {
		return nil
	}
	var all []string
	for _, key := range e.keys.hint(search{kind: "set", match: "*" + scanEscape(e.fixed)}, now).keys {
		if !slices.Contains(own, key) {
			all = append(all, key)
		}
	}
	slices.Sort(all)
	return all[:min(len(all), registriesElsewhere)]
}

// fresh reports whether the answer of the same registries is not a minute old.
func (e *elsewhere) fresh(sets []string, now time.Time) bool {
	return now.Sub(e.asked) < hintInterval && slices.Equal(sets, e.sets)
}

// complete adds the answer to the hint of a reading.
func (e *elsewhere) complete(r backlog.Reading) outcome {
	if e.text != "" {
		r.Hint += "; " + e.text
	}
	return done(r)
}

// An elsewhereStep asks registries of other prefixes about a queue that does not exist.
type elsewhereStep struct {
	*elsewhere
	member  string
	reading backlog.Reading
}

func (s *elsewhereStep) commands(dst []resp.Command, _ time.Time) []resp.Command {
	for _, set := range s.sets {
		dst = append(dst, resp.Command{Key: set, Args: []any{"SISMEMBER", set, s.member}})
	}
	return dst
}

func (s *elsewhereStep) outcome(replies []resp.Reply, now time.Time) outcome {
	c := resp.NewDecoder(replies)
	var prefixes []string
	for _, set := range s.sets {
		// A registry of another tenant may be out of reach.
		if c.Allowed() && c.Count() > 0 && len(prefixes) < registryNames {
			prefixes = append(prefixes, strconv.Quote(strings.TrimSuffix(set, s.fixed)))
		}
	}
	if c.Err() != nil {
		return fail(c.Err())
	}
	s.asked, s.text = now, ""
	if len(prefixes) > 0 {
		s.text = "a queue of this name exists with the " + s.prefixed + " " + strings.Join(prefixes, ", ")
	}
	return s.complete(s.reading)
}

// missing is the outcome for a queue that the registry does not know.
func (r *registry) missing(reading backlog.Reading, now time.Time) outcome {
	e := r.elsewhere
	sets := e.others(r.sets, now)
	switch {
	case len(sets) == 0 || r.member == "":
		return done(reading)
	case e.fresh(sets, now):
		return e.complete(reading)
	default:
		e.sets = sets
		return outcome{next: &elsewhereStep{elsewhere: e, member: r.member, reading: reading}}
	}
}
