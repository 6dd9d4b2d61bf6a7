// Package shadow compares the values of KEDA's own triggers with those of the scaler, which reads the same
// queues for static watches. It is pure: pages of metrics in, a table out.
package shadow

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// kedaValue and scalerValue are the metrics that are compared:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/metricscollector/prommetrics.go#L46
const (
	kedaValue   = "keda_scaler_metrics_value"
	scalerValue = "backlog_scaler_trigger_value"
)

// tolerance is what rounding to thousandths may make of two equal numbers.
const tolerance = 0.0005

// A Trigger is one that both read.
type Trigger struct {
	Namespace, Object string
	// Job reports that the object is a ScaledJob.
	Job bool
	// Index is the place of the trigger in the object, from 0.
	Index int
	// Watch is the name of the static watch.
	Watch string
	// Announced is what the report says about differences; empty if it says nothing.
	Announced []string
}

// A kedaKey names a trigger in KEDA's metrics.
type kedaKey struct {
	namespace, object string
	job               bool
	index             int
}

// A Page is the values of one side at one time. A trigger without a value is not in it.
type Page struct {
	keda   map[kedaKey]float64
	scaler map[[2]string]float64
}

// Parse parses a page of metrics, of KEDA's operator or of the scaler.
func Parse(r io.Reader) (Page, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(r)
	if err != nil {
		return Page{}, fmt.Errorf("parse metrics: %s", backlog.Line(err.Error()))
	}
	p := Page{keda: map[kedaKey]float64{}, scaler: map[[2]string]float64{}}
	for _, m := range families[kedaValue].GetMetric() {
		l := labels(m)
		index, err := strconv.Atoi(l["triggerIndex"])
		if err != nil {
			continue // a formula has no index
		}
		if n, known := number(m); known {
			p.keda[kedaKey{l["namespace"], l["scaledObject"], strings.EqualFold(l["type"], "scaledjob"), index}] = n
		}
	}
	for _, m := range families[scalerValue].GetMetric() {
		l := labels(m)
		if n, known := number(m); known {
			p.scaler[[2]string{l["namespace"], l["scaledobject"]}] = n
		}
	}
	return p, nil
}

func labels(m *dto.Metric) map[string]string {
	all := map[string]string{}
	for _, pair := range m.GetLabel() {
		all[pair.GetName()] = pair.GetValue()
	}
	return all
}

// number returns the value of a gauge, or of a metric without a type. It is not known of others, and NaN is
// no number: it would equal every one.
func number(m *dto.Metric) (value float64, known bool) {
	switch {
	case m.GetGauge() != nil:
		value = m.GetGauge().GetValue()
	case m.GetUntyped() != nil:
		value = m.GetUntyped().GetValue()
	default:
		return 0, false
	}
	return value, !math.IsNaN(value)
}

// A Comparison collects values of both sides.
type Comparison struct {
	rows []row
	// window is how many rounds KEDA's value may be behind.
	window int
}

// A row is a trigger and what was seen of it.
type row struct {
	Trigger

	// ours are the last values of the scaler, as many as the window has.
	ours []float64
	// rounds is how often both had a value, and differed how often KEDA's was none of ours.
	rounds, differed int
	// kedaMissing and scalerMissing are how often one had none.
	kedaMissing, scalerMissing int
	// keda and scaler are the last values, or those of the last difference.
	keda, scaler float64
}

// New returns a Comparison. KEDA reads a trigger at its polling interval, so that its value may be as many
// rounds old as window says.
func New(triggers []Trigger, window int) *Comparison {
	c := &Comparison{window: max(1, window)}
	for _, t := range triggers {
		c.rows = append(c.rows, row{Trigger: t})
	}
	return c
}

// Add adds a round: what KEDA and the scaler reported at the same time.
func (c *Comparison) Add(keda, scaler Page) {
	for i := range c.rows {
		r := &c.rows[i]
		theirs, theyKnow := keda.keda[kedaKey{r.Namespace, r.Object, r.Job, r.Index}]
		ours, weKnow := scaler.scaler[[2]string{r.Namespace, r.Watch}]
		if weKnow {
			r.ours = append(r.ours, ours)
			r.ours = r.ours[max(0, len(r.ours)-c.window-1):]
		} else {
			r.scalerMissing++
		}
		if !theyKnow {
			r.kedaMissing++
		}
		if weKnow && theyKnow {
			r.compare(theirs, ours)
		}
	}
}

// compare counts a round. KEDA's value agrees if it lies between the smallest and the largest of ours since KEDA
// can have read it: a queue that changes passes through every number between them.
func (r *row) compare(theirs, ours float64) {
	r.rounds++
	differs := theirs < slices.Min(r.ours)-tolerance || theirs > slices.Max(r.ours)+tolerance
	if differs {
		r.differed++
	}
	if differs || r.differed == 0 {
		r.keda, r.scaler = theirs, ours
	}
}

// Unexplained returns how many triggers differed although the report announced nothing, and how many were never
// compared.
func (c *Comparison) Unexplained() (differ, never int) {
	for _, r := range c.rows {
		switch {
		case r.rounds == 0:
			never++
		case r.differed > 0 && len(r.Announced) == 0:
			differ++
		}
	}
	return differ, never
}

// Print writes a line for each trigger, and below it what the report said about one that differed.
func (c *Comparison) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "OBJECT\tTRIGGER\tKEDA\tSCALER\tROUNDS\tDIFFERED\tRESULT")
	for _, r := range c.rows {
		result, keda, scaler := "equal", value(r.keda), value(r.scaler)
		switch {
		case r.rounds == 0:
			result, keda, scaler = r.missing(), "-", "-"
		case r.differed > 0 && len(r.Announced) == 0:
			result = "differs, and the report announced nothing"
		case r.differed > 0:
			result = "differs, as the report announced"
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%d\t%d\t%s\n", backlog.Line(r.Namespace+"/"+r.Object), r.Index, keda, scaler, r.rounds, r.differed, result)
		if r.differed > 0 {
			for _, text := range r.Announced {
				_, _ = fmt.Fprintf(table, "\t\t\t\t\t\treport: %s\n", backlog.Line(text))
			}
		}
	}
	return table.Flush()
}

// missing says which side had no value.
func (r *row) missing() string {
	switch {
	case r.kedaMissing > 0 && r.scalerMissing > 0:
		return "neither has a value"
	case r.kedaMissing > 0:
		return "KEDA has no value"
	default:
		return "the scaler has no value for the watch " + backlog.Line(r.Watch)
	}
}

// value writes a number to a thousandth.
func value(f float64) string { return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64) }
