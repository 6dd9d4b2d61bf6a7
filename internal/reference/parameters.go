package reference

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// Parameters returns a table of metadata keys with their values, defaults and meanings.
func Parameters(parameters []backlog.Parameter) string { return keys(parameters, expects) }

// Settings returns the same for keys of the configuration file, where a list is a YAML list.
func Settings(parameters []backlog.Parameter) string {
	return keys(parameters, func(p backlog.Parameter) string {
		if p.Kind == backlog.KindList {
			return "list"
		}
		if p.Kind == backlog.KindAddresses {
			return "list of `host:port`"
		}
		return expects(p)
	})
}

func keys(parameters []backlog.Parameter, expects func(backlog.Parameter) string) string {
	t := table{{"key", "value", "default", "meaning"}}
	for _, p := range parameters {
		fallback := code(p.Default)
		if p.Required {
			fallback = "required"
		}
		t = append(t, []string{code(p.Name), cell(expects(p)), fallback, cell(p.Doc)})
	}
	return t.String()
}

// expects describes the value of a parameter.
func expects(p backlog.Parameter) string {
	if p.Kind == backlog.KindChoice {
		return "`" + strings.Join(p.Allowed, "`, `") + "`"
	}
	for _, article := range []string{"a ", "the "} {
		if text, found := strings.CutPrefix(p.Expects(), article); found {
			return text
		}
	}
	return p.Expects()
}

// An Example is a ScaledObject for a layout.
type Example struct {
	// Engine and Layout are names.
	Engine, Layout string
	// Path is relative to the document that shows the example.
	Path string
	// Comment is its purpose, and Trigger its trigger in YAML.
	Comment, Trigger string
}

// Layouts returns a section for each layout of an engine, with its examples.
func Layouts(engine backlog.Engine, examples []Example) string {
	var b strings.Builder
	for _, layout := range engine.Layouts {
		fmt.Fprintf(&b, "### `%s` (%s)\n\n%s\n\n", layout.Name, engine.Name, layout.Summary)
		b.WriteString(contents(layout).String() + "\n")
		if len(layout.Parameters) > 0 {
			b.WriteString(Parameters(layout.Parameters) + "\n")
		}
		for _, example := range examples {
			if example.Engine == engine.Name && example.Layout == layout.Name {
				fmt.Fprintf(&b, "%s ([the whole object](%s))\n\n```yaml\n%s```\n\n", example.Comment, example.Path, example.Trigger)
			}
		}
	}
	return b.String()
}

// contents returns the table of what a layout reads.
func contents(layout backlog.Layout) table {
	t := table{{"what", "here"}, {code(layout.Name), cell(layout.Queue)}}
	if layout.Measures {
		return append(t, []string{"the value", cell(layout.Ready)}, []string{"keys that do not apply", "`count`, `drainTime`, `throughput`, `rateWindow`, `maxAge`, `combine`, `weights`, `missing`, `scaledJob`"})
	}
	missing := "`zero`"
	if layout.MissingIsError {
		missing = "`error`"
	}
	return append(
		t,
		[]string{"ready", cell(known(layout.Ready))},
		[]string{"due", cell(cmp.Or(layout.Due, "nothing, because all due messages are ready"))},
		[]string{"in flight", cell(known(layout.InFlight))},
		[]string{"oldest", cell(known(layout.Oldest))},
		[]string{"work that passes between two reads", cell(cmp.Or(layout.Passing, "leaves no trace"))},
		[]string{"finished messages, for a [throughput that is learned](policies.md#learned-throughput)", cell(cmp.Or(layout.Finished, "not counted"))},
		[]string{"strategy of a [ScaledJob](scaledjobs.md)", jobStrategies(layout)},
		[]string{"[busy workers](workers.md#busy-workers-in-the-queue)", cell(cmp.Or(layout.Workers, "not known"))},
		[]string{"queues that match a pattern are found", cell(cmp.Or(layout.Patterns, "patterns are not supported"))},
		[]string{"a queue that does not exist", missing + " unless `missing` says otherwise"},
	)
}

// jobStrategies returns the strategies of a ScaledJob that fit what a layout reads.
func jobStrategies(layout backlog.Layout) string {
	held, waiting := code(string(decision.JobsDefault)), code(string(decision.JobsAccurate))
	switch {
	case layout.ReadyIncludesHeld:
		return held
	case layout.InFlight == "" || layout.InFlightIsLate:
		return waiting
	default:
		return held + ", and " + waiting
	}
}

// known returns text, or that the layout does not report the number.
func known(text string) string {
	if text == "" {
		return "not reported"
	}
	return text
}
