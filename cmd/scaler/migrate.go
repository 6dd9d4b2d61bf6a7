package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate"
)

// migrateCommand turns triggers of KEDA's own scalers into triggers of this one.
type migrateCommand struct {
	Files         []string       `arg:"" optional:"" name:"file" help:"Files and folders with ScaledObjects, ScaledJobs, TriggerAuthentications and the workloads and ConfigMaps that they refer to, in YAML or JSON; - is the standard input."`
	Cluster       bool           `help:"Read the objects of a cluster, which is never written to, and no Secret."`
	Kubeconfig    string         `env:"KUBECONFIG" placeholder:"FILE" help:"File that says where the API server is, for --cluster; without one the service account of the pod, or .kube/config of the home."`
	OutputDir     string         `name:"output" short:"o" type:"path" placeholder:"DIR" help:"Folder for config.yaml, an object in each file, and report.md; without it all YAML goes to the standard output and the report to the standard error."`
	ReportFile    string         `name:"report" type:"path" placeholder:"FILE" help:"File for the report, in place of the standard error or of the folder."`
	Format        string         `enum:"text,json" default:"text" help:"Format of the report: ${enum}."`
	Namespace     string         `short:"n" help:"Namespace of objects that name none; with --cluster the only one that is read."`
	KEDANamespace string         `name:"keda-namespace" default:"keda" help:"Namespace of KEDA, where names without a namespace were looked up."`
	Shadow        bool           `help:"Add a static watch for each new trigger to the configuration, so that the scaler reads the queues next to KEDA. With --keda-metrics and --scaler-metrics compare their values in place of writing the result."`
	KEDAMetrics   string         `name:"keda-metrics" placeholder:"URL" help:"Metrics of KEDA's operator, such as http://127.0.0.1:8080/metrics, for --shadow."`
	ScalerMetrics string         `name:"scaler-metrics" placeholder:"URL" help:"Metrics of a scaler that has the watches, for --shadow."`
	For           command.Period `default:"5m" placeholder:"TIME" help:"Time for which the values are compared, such as 5m or 1d."`
	Behind        command.Period `default:"30s" placeholder:"TIME" help:"Longest polling interval of the objects: a value of KEDA may be as old."`
	ScalerAddress string         `default:"backlog-scaler.backlog-scaler.svc:9090" placeholder:"HOST:PORT" help:"Address of the scaler for the new triggers."`
}

// Help is the end of the command's help; kong calls it.
func (migrateCommand) Help() string {
	return "The result is a configuration with the connections, the objects with new triggers under their old names, and a report. " +
		"Secrets are references to files; their values are neither read nor printed.\n\n" +
		"Exit codes: 0 if all triggers that the scaler has an engine for were carried whole, 3 if something is left to do by hand, which the report says, 1 on an error, 2 for wrong flags."
}

// Validate reports inputs that do not go together; kong calls it.
func (c migrateCommand) Validate() error {
	if (c.KEDAMetrics == "") != (c.ScalerMetrics == "") || c.KEDAMetrics != "" && !c.Shadow {
		return errors.New("--keda-metrics and --scaler-metrics: want both, with --shadow")
	}
	if !c.Cluster && len(c.Files) == 0 {
		return errors.New("want a file, a folder, - for the standard input, or --cluster")
	}
	if n := len(slices.DeleteFunc(slices.Clone(c.Files), func(name string) bool { return name != "-" })); n > 1 {
		return errors.New("- is given more than once")
	}
	return nil
}

// A partialError is a result in which something is left to do by hand.
type partialError string

func (e partialError) Error() string { return "something is left to do by hand: " + string(e) }

// exitPartial is the exit code of a partialError.
const exitPartial = 3

// ExitCode returns the exit code.
func (partialError) ExitCode() int { return exitPartial }

// maxManifests bounds how many files are read.
const maxManifests = 10_000

// Run migrates and writes the result.
func (c migrateCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer, stderr notes) error {
	files, err := c.files()
	if err != nil {
		return err
	}
	if c.Cluster {
		objects, err := c.readCluster(ctx, stderr)
		if err != nil {
			return err
		}
		files = append(files, objects)
	}
	result, err := migrate.Run(files, migrate.Options{
		Engines: engines, ScalerAddress: c.ScalerAddress, KEDANamespace: c.KEDANamespace, Namespace: c.Namespace, Watches: c.Shadow,
	})
	if c.KEDAMetrics != "" {
		if err != nil {
			return err
		}
		return c.compare(ctx, result.Watched, stdout)
	}
	if written := c.write(result, stdout, stderr); written != nil {
		return errors.Join(err, written)
	}
	switch {
	case err != nil:
		return err
	case result.Report.Counts.Objects == 0:
		return errors.New("no ScaledObject and no ScaledJob found")
	case !result.Report.Complete():
		return partialError(result.Report.Summary())
	}
	return nil
}

// files reads the files that were named, and those of folders.
func (c migrateCommand) files() ([]migrate.File, error) {
	var all []migrate.File
	var faults []error
	for _, name := range c.Files {
		names, err := manifestFiles(name)
		faults = append(faults, err)
		for _, name := range names {
			data, err := command.ReadFile("manifest", name, command.MaxManifestFile)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			all = append(all, migrate.File{Name: name, Data: data})
		}
		if len(all) > maxManifests {
			return nil, fmt.Errorf("read %s: there are more than %d files", name, maxManifests)
		}
	}
	return all, errors.Join(faults...)
}

// manifestFiles returns the files of a folder in order, or the file itself.
func manifestFiles(name string) ([]string, error) {
	info, err := os.Stat(name)
	if name == "-" || err == nil && !info.IsDir() {
		return []string{name}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	var names []string
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != name:
			return filepath.SkipDir
		case entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(path))):
			names = append(names, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	return names, nil
}
