package layout

import (
	"slices"
	"strconv"
	"strings"
	"time"

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

// askOthers asks the registries of other prefixes about a queue that this one does not know,
// and returns the answer as a hint has it; "" if none knows it.
func (r *Registry) askOthers(trips *RoundTrips) (string, error) {
	e := r.OtherPrefixes
	sets := e.registries(r.Sets, trips.Now())
	if len(sets) == 0 || r.Member == "" {
		return "", nil
	}
	if e.fresh(sets, trips.Now()) {
		return e.text, nil
	}
	commands := make([]resp.Command, len(sets))
	for i, set := range sets {
		commands[i] = resp.Command{Key: set, Args: []any{"SISMEMBER", set, r.Member}}
	}
	c := trips.Ask(commands...)
	var prefixes []string
	for _, set := range sets {
		// A registry of another tenant may be out of reach.
		if c.Allowed() && c.Count() > 0 && len(prefixes) < MaxNames {
			prefixes = append(prefixes, strconv.Quote(strings.TrimSuffix(set, e.FixedKey)))
		}
	}
	if c.Err() != nil {
		return "", c.Err()
	}
	e.sets, e.asked, e.text = sets, trips.Now(), ""
	if len(prefixes) > 0 {
		e.text = "a queue of this name exists with the " + e.Parameter + " " + strings.Join(prefixes, ", ")
	}
	return e.text, nil
}
