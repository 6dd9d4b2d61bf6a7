package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// PolicyCheck checks policies in files.
type PolicyCheck struct {
	Files  []string `arg:"" name:"file" help:"YAML files with any number of objects; - is the standard input."`
	For    Period   `default:"14d" placeholder:"TIME" help:"Time whose windows are printed, such as 14d or 36h; at most 366d."`
	From   Moment   `placeholder:"TIME" help:"Beginning of that time, such as 2026-11-26 or 2026-11-26T12:00:00+01:00; now without it."`
	Config string   `type:"path" placeholder:"FILE" help:"Configuration file; signals are checked against its connections."`
}

// errNoPolicy is the outcome of a check that found nothing to check.
var errNoPolicy = errors.New("no AutoscalerPolicy found")

// Check checks the files and prints a report. namespace is that of policies that name none. The error is
// nil if there is a policy and no mistake.
func (c *PolicyCheck) Check(engines []backlog.Engine, namespace string, now time.Time, stdout io.Writer) error {
	var catalog *trigger.Catalog
	if c.Config != "" {
		var err error
		if catalog, err = Catalog(c.Config, engines); err != nil {
			return err
		}
	}
	checker, err := policycheck.New(engines, catalog, namespace)
	if err != nil {
		return err
	}
	from := time.Time(c.From)
	if from.IsZero() {
		from = now
	}
	report := policycheck.Report{From: from, To: from.Add(time.Duration(c.For)), Connections: catalog != nil}
	var errs []error
	for _, name := range c.Files {
		data, err := ReadFile("policies", name, MaxManifestFile)
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

// Catalog returns the connections of a configuration file.
func Catalog(path string, engines []backlog.Engine) (*trigger.Catalog, error) {
	loaded, err := config.Load(path, engines)
	if err != nil {
		return nil, err
	}
	return app.NewCatalog(loaded, engines)
}
