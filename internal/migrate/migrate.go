// Package migrate turns triggers of KEDA's own scalers into triggers of this scaler: texts in, texts and a
// report out. It reads no file and no cluster, and never returns the value of a secret.
package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/manifest"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/shadow"
)

// A File is one input.
type File struct {
	Name string
	Data []byte
}

// Options say what the result is for.
type Options struct {
	// Engines are those of the scaler.
	Engines []backlog.Engine
	// ScalerAddress is what the new triggers have as scalerAddress.
	ScalerAddress string
	// KEDANamespace is the namespace in which KEDA runs, where short names were looked up.
	KEDANamespace string
	// Namespace is that of objects that name none; empty leaves a gap.
	Namespace string
	// Watches adds a static watch for each new trigger to the configuration, so that the scaler reads its
	// queue before KEDA asks for it.
	Watches bool
}

// An Output is an object with new triggers.
type Output struct {
	// Name is a name for its file, such as "shop-scaledobject-mailer.yaml".
	Name string
	Text string
}

// A Result is the outcome of a migration.
type Result struct {
	// Config is the configuration file with the connections; empty without any.
	Config string
	// Objects are those that have new triggers.
	Objects []Output
	Report  Report
	// Watched are the triggers that have a static watch.
	Watched []shadow.Trigger
}

// Run migrates the objects of files. The error is what could not be read, or a result that the scaler's own
// parsers do not accept, which is a mistake of this package; the result has what could be migrated.
func Run(files []File, o Options) (Result, error) {
	m := &migration{options: o, input: newInput(o.Namespace), secrets: newSecrets()}
	var faults []error
	for _, f := range files {
		objects, err := manifest.Parse(f.Name, f.Data)
		faults = append(faults, err, m.input.add(objects))
	}
	for _, s := range m.input.scaled {
		m.report(s)
	}
	m.connect()
	m.write()
	m.prune()
	faults = append(faults, m.check())
	m.result.Report.finish()
	m.watched()
	return m.result, errors.Join(faults...)
}

// A migration is one run.
type migration struct {
	options     Options
	input       *input
	secrets     *secrets
	objects     []*object
	connections []*connection
	result      Result
}

// An object is a ScaledObject or ScaledJob with what its triggers become.
type object struct {
	*manifest.Scaled

	namespace string
	report    *ObjectReport
	// carried are the triggers that change.
	carried []*carried
}

// A carried is a trigger that changes.
type carried struct {
	builtin.Conversion

	object     *object
	index      int
	connection *connection
	report     *TriggerReport
}

// report reports on an object and converts its triggers.
func (m *migration) report(s *manifest.Scaled) {
	o := &object{Scaled: s, namespace: cmp.Or(s.Namespace, m.options.Namespace)}
	o.report = &ObjectReport{File: s.File, Line: s.Line, Kind: s.Kind, Namespace: o.namespace, Name: s.Name}
	m.objects = append(m.objects, o)
	m.result.Report.Objects = append(m.result.Report.Objects, o.report)
	for i, t := range s.Triggers {
		r := &TriggerReport{Index: i, Line: t.Line, Type: t.Type, Name: t.Name}
		o.report.Triggers = append(o.report.Triggers, r)
		conversion, ours := builtin.Convert(m.trigger(o, i))
		switch {
		case !ours:
			r.Outcome = outcomeOther
			if t.Type == "external" || t.Type == "external-push" {
				r.Outcome = outcomeExternal
			}
			continue
		case conversion.Left != "":
			r.Outcome = outcomeLeft
			r.Findings = conversion.Findings
			continue
		}
		r.Findings = conversion.Findings
		c := &carried{Conversion: conversion, object: o, index: i, report: r}
		r.Old, r.New = conversion.Was, ""
		if t.Cached {
			r.add(builtin.Better, t.Line, "useCachedMetrics", "left out: the scaler answers from memory, with a fresher number")
		}
		o.carried = append(o.carried, c)
	}
	m.reportObject(o)
}

// reportObject adds what concerns the object as a whole.
func (m *migration) reportObject(o *object) {
	if len(o.carried) == 0 {
		return
	}
	r := o.report
	if o.namespace == "" {
		r.add(builtin.Gap, "the object names no namespace, which the connection has to list: pass it with --namespace")
	}
	if o.Owner != "" {
		r.add(builtin.Changed, "the object belongs to %s, which may put the old triggers back: change them there", o.Owner)
	}
	if seconds, err := strconv.Atoi(o.PollingInterval); err == nil && seconds > 0 && seconds%15 == 0 && o.Job == "" {
		r.add(builtin.Same, "pollingInterval: %d stays; a multiple of 15 s is in step with the HPA, so that a drop to zero can come late", seconds)
	}
	if o.Fallback {
		r.add(builtin.Same, "fallback stays. During an outage the scaler answers with the last number for maxStaleness (30s), and the failures that KEDA counts begin after that")
	}
	if namespace := m.input.twice(o.Scaled); namespace != "" {
		r.add(builtin.Changed, "the same object is also in %s: keep one of the two", namespace)
	}
	for _, ref := range o.authentications() {
		r.add(builtin.Same, "%s is not used by the new triggers: delete it if no other object uses it", ref)
	}
}

// authentications returns the authentications that carried triggers name.
func (o *object) authentications() []string {
	var all []string
	for _, c := range o.carried {
		if t := o.Triggers[c.index]; t.AuthName != "" {
			if text := t.AuthKind + " " + t.AuthName; !slices.Contains(all, text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// write writes the objects with new triggers.
func (m *migration) write() {
	taken := map[string]bool{}
	for _, o := range m.objects {
		if len(o.carried) == 0 {
			continue
		}
		var changes []manifest.Change
		for _, c := range o.carried {
			change := manifest.Change{Index: c.index, Type: c.newType(), Comment: backlog.Line(c.Was), Keys: c.keys(m.options.ScalerAddress)}
			changes = append(changes, change)
			c.report.Outcome = outcomeCarried
			c.report.New = c.description()
		}
		text, err := o.Write(changes)
		if err != nil {
			o.refuse("the object cannot be written: " + err.Error())
			continue
		}
		if leaks := o.Leaks(text); len(leaks) > 0 {
			var places []string
			for _, l := range leaks {
				places = append(places, fmt.Sprintf("%s (line %d)", backlog.Line(l.Key), l.Line))
			}
			o.refuse("the object is not written, because it seems to hold a secret in plain text: " + strings.Join(places, ", ") + ". Put it into a Secret or a TriggerAuthentication, and run this again")
			continue
		}
		m.result.Objects = append(m.result.Objects, Output{Name: o.fileName(taken), Text: text})
	}
}

// refuse leaves the triggers of an object as they are.
func (o *object) refuse(why string) {
	o.report.add(builtin.Cannot, "%s", why)
	for _, c := range o.carried {
		c.report.Outcome, c.report.New = outcomeLeft, ""
		c.report.Findings = slices.DeleteFunc(c.report.Findings, func(f builtin.Finding) bool { return f.Level != builtin.Unread })
	}
}

// newType is the type of the new trigger. ScaledJobs get no pushes, and a push would wake a ScaledObject
// whatever its formula says:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scaling/scale_handler.go#L344
func (c *carried) newType() string {
	if c.object.Job != "" || c.object.Formula {
		return "external"
	}
	return "external-push"
}

// keys returns the metadata of the new trigger.
func (c *carried) keys(address string) []builtin.Pair {
	return slices.Concat([]builtin.Pair{{Key: "scalerAddress", Value: address}, {Key: "connection", Value: c.connection.name}}, c.Keys)
}

// description is the new trigger in a few words.
func (c *carried) description() string {
	var words []string
	for _, p := range c.Keys {
		words = append(words, p.Key+"="+p.Value)
	}
	return c.newType() + " " + c.connection.name + " " + strings.Join(words, " ")
}

// fileName returns a name for the file of an object that no other has.
func (o *object) fileName(taken map[string]bool) string {
	base := strings.ToLower(strings.Trim(o.namespace+"-"+o.Kind+"-"+o.Name, "-"))
	base = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '_'
	}, base)
	base = base[:min(len(base), 200)]
	name := base
	for i := 2; taken[name]; i++ {
		name = base + "-" + strconv.Itoa(i)
	}
	taken[name] = true
	return name + ".yaml"
}
