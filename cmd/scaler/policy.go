package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// policyCommand has the commands for AutoscalerPolicies.
type policyCommand struct {
	Check policyCheckCommand `cmd:"" help:"Check AutoscalerPolicies in files, offline, and print what they will do."`
}

// policyCheckCommand checks policies in files.
type policyCheckCommand struct {
	Files     []string `arg:"" name:"file" help:"YAML files with any number of objects; - is the standard input."`
	For       period   `default:"14d" placeholder:"TIME" help:"Time whose windows are printed, such as 14d or 36h; at most 366d."`
	From      moment   `placeholder:"TIME" help:"Beginning of that time, such as 2026-11-26 or 2026-11-26T12:00:00+01:00; now without it."`
	Config    string   `type:"path" placeholder:"FILE" help:"Configuration file; signals are checked against its connections."`
	Namespace string   `short:"n" default:"default" help:"Namespace of policies that name none."`
}

// maxManifestFile bounds a file with objects, in bytes.
const maxManifestFile = 16 << 20

// errNoPolicy is the outcome of a check that found nothing to check.
var errNoPolicy = errors.New("no AutoscalerPolicy found")

// Run checks the files and prints a report. The error is nil if there is a policy and no mistake.
func (c policyCheckCommand) Run(engines []backlog.Engine, stdout io.Writer) error {
	var catalog *trigger.Catalog
	if c.Config != "" {
		var err error
		if catalog, err = catalogOf(c.Config, engines); err != nil {
			return err
		}
	}
	checker, err := policycheck.New(engines, catalog, c.Namespace)
	if err != nil {
		return err
	}
	from := time.Time(c.From)
	if from.IsZero() {
		from = time.Now()
	}
	report := policycheck.Report{From: from, To: from.Add(time.Duration(c.For)), Connections: catalog != nil}
	var errs []error
	for _, name := range c.Files {
		data, err := readFile("policies", name, maxManifestFile)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		file, err := checker.Check(data)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		report.Files = append(report.Files, policycheck.Named{Name: name, File: file})
	}
	errs = append(errs, report.Print(stdout))
	switch mistakes, policies := report.Mistakes(); {
	case mistakes > 0:
		errs = append(errs, fmt.Errorf("mistakes: %d", mistakes))
	case policies == 0 && errors.Join(errs...) == nil:
		errs = append(errs, errNoPolicy)
	}
	return errors.Join(errs...)
}

// readFile reads a file, or the standard input for -, of at most so many bytes. what is in it is for
// the error.
func readFile(what, name string, most int64) ([]byte, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil { //nolint:gosec // the user names it
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		defer func() { _ = file.Close() }()
	}
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case int64(len(data)) > most:
		return nil, fmt.Errorf("read %s: %s has more than %d bytes", what, name, most)
	}
	return data, nil
}

// A period is a length of time that may be written in days, such as 14d.
type period time.Duration

// maxPeriod is the longest time whose windows are printed.
const maxPeriod = 366 * 24 * time.Hour

// UnmarshalText parses a period; kong calls it.
func (p *period) UnmarshalText(text []byte) error {
	days, inDays := strings.CutSuffix(string(text), "d")
	length, err := time.ParseDuration(string(text))
	if inDays {
		var n uint64
		if n, err = strconv.ParseUint(days, 10, 16); err == nil {
			length = time.Duration(n) * 24 * time.Hour
		}
	}
	if err != nil || length <= 0 || length > maxPeriod {
		return fmt.Errorf("%q: want a time such as 14d or 36h, at most %gd", text, maxPeriod.Hours()/24)
	}
	*p = period(length)
	return nil
}

// A moment is a time, or the beginning of a day in UTC.
type moment time.Time

// UnmarshalText parses a moment; kong calls it.
func (m *moment) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, string(text)); err == nil {
			*m = moment(at)
			return nil
		}
	}
	return fmt.Errorf("%q: want a day such as 2026-11-26, or a time such as 2026-11-26T12:00:00+01:00", text)
}
