package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/record"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// recordCommand writes a trace.
type recordCommand struct {
	ScaledObject string         `arg:"" optional:"" name:"namespace/name" help:"The ScaledObject, or a static watch of the configuration, whose queue is recorded."`
	Trigger      string         `placeholder:"NAME" help:"Name of the metric of the trigger, if there are several."`
	Address      string         `default:"127.0.0.1:9091" help:"Admin API address of the scaler: its --admin-address." env:"SCALER_INSPECT_ADDRESS"`
	Interval     time.Duration  `default:"1s" help:"Time between two samples."`
	For          command.Period `default:"1h" placeholder:"TIME" help:"Time to record, such as 1h or 7d; an interrupt ends it earlier. With --prometheus the time up to --to."`
	Prometheus   string         `placeholder:"URL" help:"Address of Prometheus to take the past from, in place of a scaler."`
	Query        string         `placeholder:"PROMQL" help:"With --prometheus: arrivals in messages per second, as one series, such as 'sum(rate(orders_total[1m]))'."`
	Step         time.Duration  `default:"1m" help:"With --prometheus: time between two values."`
	To           command.Moment `placeholder:"TIME" help:"With --prometheus: end of the time, such as 2026-11-26 or 2026-11-26T12:00:00Z; now without it."`
	Out          string         `required:"" type:"path" placeholder:"FILE" help:"File to write the trace to, compressed if its name ends in .gz; - is the standard output."`
}

// Validate reports flags that do not go together; kong calls it.
func (c *recordCommand) Validate() error {
	switch {
	case (c.Prometheus == "") == (c.ScaledObject == ""):
		return errors.New("want the namespace and the name of a ScaledObject, such as shop/billing, or --prometheus")
	case c.ScaledObject != "" && !command.Qualified(c.ScaledObject):
		return fmt.Errorf("%q: want the namespace and the name of a ScaledObject, such as shop/billing", c.ScaledObject)
	case (c.Prometheus == "") != (c.Query == ""):
		return errors.New("--prometheus and --query: want both or none")
	case c.Prometheus != "" && !isHTTP(c.Prometheus):
		return errors.New("--prometheus: want an address such as http://prometheus:9090")
	}
	return c.checkTimes()
}

// isHTTP reports whether a text is an address of HTTP.
func isHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// checkTimes reports times that are out of range.
func (c *recordCommand) checkTimes() error {
	switch {
	case c.Interval < 500*time.Millisecond || c.Interval > time.Minute:
		return fmt.Errorf("--interval=%s: want 500ms to 1m", c.Interval)
	case c.Step < time.Second || c.Step > time.Hour:
		return fmt.Errorf("--step=%s: want 1s to 1h", c.Step)
	case time.Duration(c.For)/c.Step > trace.MaxLines/2 || time.Duration(c.For)/c.Interval > trace.MaxLines/2:
		return fmt.Errorf("--for: want at most %d samples; take a longer --interval or --step", trace.MaxLines/2)
	}
	return nil
}

// Run records until the time is over or ctx ends.
func (c *recordCommand) Run(ctx context.Context, stdout io.Writer) error {
	out, closeOut, err := c.open(stdout)
	if err != nil {
		return err
	}
	summary, err := c.record(ctx, out)
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
func (c *recordCommand) record(ctx context.Context, out io.Writer) (summary record.Summary, err error) {
	if c.Prometheus != "" {
		to := time.Time(c.To)
		if to.IsZero() {
			to = time.Now()
		}
		to = to.Truncate(time.Second)
		return record.Prometheus(ctx, &http.Client{Timeout: time.Minute}, out, record.RangeQuery{
			URL: c.Prometheus, Query: c.Query, From: to.Add(-time.Duration(c.For)), To: to, Step: c.Step,
		})
	}
	client, err := inspector.NewClient(c.Address)
	if err != nil {
		return record.Summary{}, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	namespace, name, _ := strings.Cut(c.ScaledObject, "/")
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	summary, err = record.Scaler(ctx, client, out, record.Options{
		Namespace: namespace, ScaledObject: name, Trigger: c.Trigger,
		Start: time.Now(), Interval: c.Interval, For: time.Duration(c.For), Ticks: ticker.C,
	})
	return summary, advise(err)
}

// open opens the output. What it returns closes it.
func (c *recordCommand) open(stdout io.Writer) (io.Writer, func() error, error) {
	out, closeFile := stdout, func() error { return nil }
	if c.Out != "-" {
		file, err := os.Create(c.Out)
		if err != nil {
			return nil, nil, fmt.Errorf("write the trace: %w", err)
		}
		out, closeFile = file, file.Close
	}
	if !strings.HasSuffix(c.Out, ".gz") {
		return out, closeFile, nil
	}
	packed := gzip.NewWriter(out)
	return packed, func() error { return errors.Join(packed.Close(), closeFile()) }, nil
}
