package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/kube"
	"github.com/backlog-scaler/backlog-scaler/internal/kube/workloads"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/record"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// recordCommand writes a trace.
type recordCommand struct {
	ScaledObject string         `arg:"" optional:"" name:"namespace/name" help:"The ScaledObject, or a static watch of the configuration, whose queue is recorded."`
	Trigger      string         `placeholder:"NAME" help:"Name of the metric of the trigger, if there are several."`
	Signal       string         `placeholder:"NAME" help:"Signal of the AutoscalerPolicy that the trigger names, if several of them count messages."`
	Cluster      bool           `help:"Record the replicas of the workload too, which an API server knows: those of the ScaledObject's target."`
	Kubeconfig   string         `env:"KUBECONFIG" placeholder:"FILE" help:"File that says where the API server is, for --cluster; without one the service account of the pod, or .kube/config of the home."`
	Address      string         `default:"127.0.0.1:9091" help:"Admin API address of the scaler: its --admin-address." env:"SCALER_INSPECT_ADDRESS"`
	Interval     time.Duration  `default:"1s" help:"Time between two samples."`
	For          command.Period `default:"1h" placeholder:"TIME" help:"Time to record, such as 1h or 7d; an interrupt ends it earlier. With Prometheus the time up to --to."`
	Out          string         `required:"" type:"path" placeholder:"FILE" help:"File to write the trace to, compressed if its name ends in .gz; - is the standard output."`

	pastFlags
}

// Validate reports flags that do not go together; kong calls it.
func (c *recordCommand) Validate() error {
	switch {
	case c.named() == (c.ScaledObject != ""):
		return errors.New("want the namespace and the name of a ScaledObject, such as shop/billing, or --prometheus")
	case c.ScaledObject != "" && !command.Qualified(c.ScaledObject):
		return fmt.Errorf("%q: want the namespace and the name of a ScaledObject, such as shop/billing", c.ScaledObject)
	case c.named() && (c.Cluster || c.Signal != "" || c.Trigger != ""):
		return errors.New("--cluster, --signal and --trigger: are for a ScaledObject, not for Prometheus")
	}
	return errors.Join(c.checkPast(), c.checkTimes())
}

// checkTimes reports times that are out of range.
func (c *recordCommand) checkTimes() error {
	if c.Interval < 500*time.Millisecond || c.Interval > time.Minute {
		return fmt.Errorf("--interval=%s: want 500ms to 1m", c.Interval)
	}
	every := c.Interval
	if c.named() {
		every = max(c.Step, time.Second)
	}
	if time.Duration(c.For)/every > trace.MaxLines/2 {
		return fmt.Errorf("--for: want at most %d samples; take a longer --interval or --step", trace.MaxLines/2)
	}
	return nil
}

// Run records until the time is over or ctx ends.
func (c *recordCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer) error {
	out, closeOut := c.open(stdout)
	summary, err := c.record(ctx, engines, out)
	if err := errors.Join(err, closeOut()); err != nil {
		return err
	}
	if c.Out == "-" {
		return nil
	}
	text := fmt.Sprintf("%d messages; the arrivals are %s", summary.Messages, summary.Quality)
	if summary.Service > 0 {
		text += fmt.Sprintf("; a message takes %s in the mean", summary.Service)
	}
	if summary.Gaps > 0 {
		text += fmt.Sprintf("; %d gaps, in which it is not known what came", summary.Gaps)
	}
	_, err = fmt.Fprintln(stdout, text+".")
	return err
}

// record records from the source that is named.
func (c *recordCommand) record(ctx context.Context, engines []backlog.Engine, out io.Writer) (summary record.Summary, err error) {
	if c.named() {
		return c.recordPast(ctx, engines, time.Duration(c.For), out)
	}
	client, err := inspector.NewClient(c.Address)
	if err != nil {
		return record.Summary{}, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	namespace, name, _ := strings.Cut(c.ScaledObject, "/")
	var workload record.Workload
	if c.Cluster {
		found, err := c.workload(ctx, namespace, name)
		if err != nil {
			return record.Summary{}, err
		}
		defer found.Close()
		workload = found
	}
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	summary, err = record.Scaler(ctx, client, out, record.Options{
		Namespace: namespace, ScaledObject: name, Trigger: c.Trigger, Signal: c.Signal, Workload: workload,
		Start: time.Now(), Interval: c.Interval, For: time.Duration(c.For), Ticks: ticker.C,
	})
	return summary, advise(err)
}

// workload returns that of the ScaledObject in the cluster.
func (c *recordCommand) workload(ctx context.Context, namespace, name string) (*workloads.Workload, error) {
	config, err := kube.Access(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return workloads.Find(ctx, config, "scaler-record", namespace, name, time.Now)
}

// open returns the output, and what closes it.
func (c *recordCommand) open(stdout io.Writer) (io.Writer, func() error) {
	if c.Out == "-" {
		return stdout, func() error { return nil }
	}
	file := &lateFile{path: c.Out}
	if !strings.HasSuffix(c.Out, ".gz") {
		return file, file.Close
	}
	packed := gzip.NewWriter(file)
	return packed, func() error {
		if file.file == nil {
			return nil // its end would be the first write
		}
		return errors.Join(packed.Close(), file.Close())
	}
}

// A lateFile is created by its first write, so that a recording that cannot begin leaves an older one as it is.
type lateFile struct {
	path string
	file *os.File
}

// Write implements io.Writer.
func (f *lateFile) Write(p []byte) (int, error) {
	if f.file == nil {
		file, err := os.Create(f.path)
		if err != nil {
			return 0, fmt.Errorf("write the trace: %w", err)
		}
		f.file = file
	}
	return f.file.Write(p)
}

// Close closes the file if there is one.
func (f *lateFile) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
