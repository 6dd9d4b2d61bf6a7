package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/manifests"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate"
)

// readCluster reads the objects of the cluster.
func (c migrateCommand) readCluster(ctx context.Context, stderr notes) (migrate.File, error) {
	config, err := kube.Access(c.Kubeconfig)
	if err != nil {
		return migrate.File{}, err
	}
	objects, err := manifests.Read(ctx, config, "scaler-migrate", c.Namespace, time.Now)
	if err != nil {
		return migrate.File{}, err
	}
	for _, note := range objects.Notes {
		_, _ = fmt.Fprintln(stderr, "scaler:", backlog.Line(note))
	}
	return migrate.File{Name: "cluster", Data: objects.YAML}, nil
}

// write writes the result: into a folder, or as one stream of YAML with the report next to it.
func (c migrateCommand) write(r migrate.Result, stdout io.Writer, stderr notes) error {
	report := r.Report.Text
	if c.Format == "json" {
		report = r.Report.JSON
	}
	if c.OutputDir == "" && c.ReportFile == "" {
		return errors.Join(stream(r, stdout), report(stderr))
	}
	if c.ReportFile != "" {
		var text strings.Builder
		if err := report(&text); err != nil {
			return err
		}
		if err := os.WriteFile(c.ReportFile, []byte(text.String()), 0o600); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if c.OutputDir == "" {
		return stream(r, stdout)
	}
	return c.writeFolder(r, stdout)
}

// writeFolder writes the result into a folder.
func (c migrateCommand) writeFolder(r migrate.Result, stdout io.Writer) error {
	if err := os.MkdirAll(c.OutputDir, 0o750); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	outputs := slices.Clone(r.Objects)
	if c.ReportFile == "" {
		name, report := "report.md", r.Report.Markdown
		if c.Format == "json" {
			name, report = "report.json", r.Report.JSON
		}
		var text strings.Builder
		if err := report(&text); err != nil {
			return err
		}
		outputs = append(outputs, migrate.Output{Name: name, Text: text.String()})
	}
	if r.Config != "" {
		outputs = append(outputs, migrate.Output{Name: "config.yaml", Text: r.Config})
	}
	for _, o := range outputs {
		if err := os.WriteFile(filepath.Join(c.OutputDir, o.Name), []byte(o.Text), 0o600); err != nil {
			return fmt.Errorf("write the result: %w", err)
		}
	}
	_, err := fmt.Fprintf(stdout, "%s\nwritten to %s: %d files\n", r.Report.Summary(), c.OutputDir, len(outputs))
	return err
}

// stream writes the configuration and the objects as documents of one stream.
func stream(r migrate.Result, stdout io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Config)
	for _, o := range r.Objects {
		if !strings.HasPrefix(o.Text, "---") && b.Len() > 0 {
			b.WriteString("---\n")
		}
		b.WriteString(o.Text)
		if !strings.HasSuffix(o.Text, "\n") {
			b.WriteString("\n")
		}
	}
	_, err := io.WriteString(stdout, b.String())
	return err
}
