package page

import (
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// unknown stands for what is not known. It is not zero.
const unknown = "unknown"

// functions are those of the templates.
func functions() template.FuncMap {
	return template.FuncMap{
		"clock":   clock,
		"stamp":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"ago":     ago,
		"in":      func(now, t time.Time) string { return explain.Age(t.Sub(now)) },
		"number":  explain.Number,
		"join":    strings.Join,
		"short":   short,
		"trigger": triggerURL,
		"policy": func(namespace, name string) string {
			return "/policies/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
		},
		"cells":   cellsOf,
		"spark":   spark,
		"rowID":   rowID,
		"stateID": stateID,
		"plural":  plural,
		"coord":   coord,
		"list":    func(items ...any) []any { return items },
		"line":    backlog.Line,
		"add":     func(terms ...float64) float64 { return sum(terms) },
		"minus":   func(f float64) float64 { return -f },
		"times":   func(n, by int) float64 { return float64(n * by) },
		"sample":  sampleText,
		"bound":   boundOf,
		"milliseconds": func(d time.Duration) string {
			return explain.Number(float64(d.Microseconds())/1000) + " ms"
		},
	}
}

func sum(terms []float64) (total float64) {
	for _, term := range terms {
		total += term
	}
	return total
}

// sampleText returns a number of a sample.
func sampleText(f float64) string {
	if math.IsNaN(f) {
		return unknown
	}
	return explain.Number(f)
}

// boundOf returns a bound of a sample, which not every one has.
func boundOf(f float64) string {
	if math.IsNaN(f) {
		return "–"
	}
	return explain.Number(f)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return unknown
	}
	return t.UTC().Format("15:04:05")
}

// ago returns the age of a moment; "never" for none.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return explain.Age(now.Sub(t))
}

// shortText is how much of a text a table shows, in characters.
const shortText = 160

// short returns the begin of a text, in which every character is visible.
func short(text string) string {
	runes := []rune(backlog.Line(text))
	if len(runes) > shortText {
		return string(runes[:shortText]) + "…"
	}
	return string(runes)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	if stem, is := strings.CutSuffix(word, "policy"); is {
		return strconv.Itoa(n) + " " + stem + "policies"
	}
	return strconv.Itoa(n) + " " + word + "s"
}

// triggerURL returns the address of the page of a ScaledObject.
func triggerURL(namespace, name string) string {
	return "/triggers/" + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

func rowID(key uint64) string { return "t-" + strconv.FormatUint(key, 36) }

// stateID returns a state as one word, for classes and addresses.
func stateID(s inspector.State) string { return strings.ReplaceAll(s.String(), " ", "-") }

// coord formats a coordinate of a picture.
func coord(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// cells are the texts of a row of the list, by column.
type cells struct{ State, Wants, Value, Waiting, InFlight, Oldest, Why, Read, Asked string }

// cellsOf returns the cells of a row.
func cellsOf(now time.Time, r inspector.Row) cells {
	c := cells{State: r.State.String(), Wants: unknown, Value: unknown, Waiting: unknown, InFlight: unknown, Oldest: "–", Why: short(r.Why), Read: ago(now, r.ReadAt), Asked: ago(now, r.CalledAt)}
	if r.Decided {
		c.Wants = strconv.FormatInt(r.Wants, 10)
		c.Value = explain.Number(r.Value) + " / " + explain.Number(r.Target)
		if r.Policy != "" {
			c.Value = "policy"
		}
	}
	switch {
	case r.Policy != "":
		c.Waiting, c.InFlight, c.Read = "–", "–", "–"
	case r.Known && r.Measured.Known:
		c.Waiting, c.InFlight = "–", "–"
	case r.Known:
		c.Waiting = strconv.FormatInt(r.Ready+r.Due, 10)
		if r.InFlight.Known {
			c.InFlight = strconv.FormatInt(r.InFlight.N, 10)
		}
	}
	if !r.OldestSince.IsZero() {
		c.Oldest = explain.Age(now.Sub(r.OldestSince))
	}
	return c
}
