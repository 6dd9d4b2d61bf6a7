package policycheck

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/schema"
)

// A place is a field of a policy.
type place struct {
	// element is the item of a list that the field is in, such as schedules[night]; empty if it is
	// in none.
	element string
	// field is the field of the element, or of the policy.
	field string
}

// touches reports whether two places are the same field, or one is in the other.
func (p place) touches(other place) bool {
	return p.element == other.element && p.field != "" && other.field != "" &&
		(p.field == other.field || strings.HasPrefix(p.field, other.field+".") || strings.HasPrefix(other.field, p.field+"."))
}

// follows reports whether a mistake at p says nothing new next to one at another place: it is about
// the same field, or about an end that is missing because the duration is none.
func (p place) follows(other place) bool {
	return p.touches(other) || p.element == other.element && p.field == "end" && other.field == "duration"
}

// path returns the place as the schema has it.
func (p place) path() string {
	parts := slices.DeleteFunc([]string{"spec", p.element, p.field}, func(part string) bool { return part == "" })
	return strings.Join(parts, ".")
}

// element is the item of a list at the beginning of a path below spec.
var element = regexp.MustCompile(`^((?:signals|schedules|limiters)\[[^\]]*\])\.?(.*)$`)

// placeAt returns the place of a path of the schema.
func placeAt(path string) place {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "spec"), ".")
	if parts := element.FindStringSubmatch(path); parts != nil {
		return place{parts[1], parts[2]}
	}
	return place{"", path}
}

// The beginnings of the texts of problems: signals[backlog].interval, schedule "night": end and
// duration, and steps.up.period.
var (
	inElement = regexp.MustCompile(`^((?:signals|schedules|limiters)\[[^\]]*\])\.?([A-Za-z.]*)`)
	named     = regexp.MustCompile(`^(signal|schedule|limiter) "([^"]*)": ([A-Za-z]*(?: and [a-z]+:)?)`)
	fieldName = regexp.MustCompile(`^[A-Za-z.]+`)
)

// placeOf returns the place that the text of a problem begins with.
func placeOf(text string) place {
	if parts := inElement.FindStringSubmatch(text); parts != nil {
		return place{parts[1], strings.TrimSuffix(parts[2], ".")}
	}
	if parts := named.FindStringSubmatch(text); parts != nil {
		return place{parts[1] + "s[" + parts[2] + "]", strings.TrimSuffix(parts[3], ":")}
	}
	return place{"", fieldName.FindString(text)}
}

// mistakes are those of one policy.
type mistakes []Mistake

// add adds a mistake.
func (m *mistakes) add(line int, text string) {
	*m = append(*m, Mistake{line, text})
}

// merge adds what the schema and what the scaler's own parsers found. Both know many of the same
// mistakes: the parsers describe them better, unless the schema left the value out.
func (m *mistakes) merge(result schema.Result, problems []policies.Problem) {
	type parsed struct {
		place
		text string
	}
	var own []parsed
	for _, problem := range problems {
		p := parsed{placeOf(problem.Err.Error()), problem.Err.Error()}
		if !slices.ContainsFunc(own, func(earlier parsed) bool { return p.follows(earlier.place) }) {
			own = append(own, p)
		}
	}
	for i := range result.Mistakes {
		mistake := &result.Mistakes[i]
		places := placesOf(mistake)
		if mistake.Firm {
			own = slices.DeleteFunc(own, func(p parsed) bool { return slices.ContainsFunc(places, p.follows) })
		} else if slices.ContainsFunc(own, func(p parsed) bool { return slices.ContainsFunc(places, p.touches) }) {
			continue
		}
		m.addFound(mistake, result.Lines)
	}
	for _, p := range own {
		m.add(lineOf(p.place, result.Lines), p.text)
	}
}

// placesOf returns the fields that a mistake is about.
func placesOf(m *schema.Mistake) []place {
	if len(m.Fields) == 0 {
		return []place{placeAt(m.Path)}
	}
	places := make([]place, 0, len(m.Fields))
	for _, field := range m.Fields {
		places = append(places, placeAt(m.Path+"."+field))
	}
	return places
}

// addFound adds a mistake that the schema found.
func (m *mistakes) addFound(mistake *schema.Mistake, lines map[string]int) {
	path, line := mistake.Path, mistake.Line
	for _, field := range mistake.Fields {
		if at, written := lines[mistake.Path+"."+field]; written {
			path, line = mistake.Path+"."+field, at
			break
		}
	}
	text := strings.TrimPrefix(path, "spec.")
	if mistake.Value != "" {
		text += " " + mistake.Value
	}
	m.add(line, text+": "+mistake.Want)
}

// lineOf returns the line of a place, else of what it is in.
func lineOf(p place, lines map[string]int) int {
	for path := p.path(); path != ""; {
		if line, written := lines[path]; written {
			return line
		}
		end := strings.LastIndexAny(path, ".[")
		if end < 0 {
			break
		}
		path = path[:end]
	}
	return lines["spec"]
}

// sorted returns the mistakes in the order of their lines, without secrets.
func (m *mistakes) sorted() []Mistake {
	all := slices.Clone(*m)
	for i := range all {
		all[i].Text = backlog.Redact(all[i].Text)
	}
	slices.SortStableFunc(all, func(a, b Mistake) int { return cmp.Or(cmp.Compare(a.Line, b.Line), strings.Compare(a.Text, b.Text)) })
	return slices.Compact(all)
}
