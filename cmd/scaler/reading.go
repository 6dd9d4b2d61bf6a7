package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// A readingReport is a reading as it is printed. Unknown values are absent.
type readingReport struct {
	Connection string     `json:"connection"`
	Layout     string     `json:"layout"`
	Queue      string     `json:"queue"`
	At         time.Time  `json:"at"`
	Backlog    int64      `json:"backlog"`
	Ready      int64      `json:"ready"`
	Due        int64      `json:"due"`
	InFlight   *int64     `json:"inFlight,omitempty"`
	Measured   *float64   `json:"measured,omitempty"`
	Consumers  *int64     `json:"consumers,omitempty"`
	NextDue    *time.Time `json:"nextDue,omitempty"`
	Oldest     *time.Time `json:"oldestSince,omitempty"`
	OldestKind string     `json:"oldestKind,omitempty"`
	Missing    bool       `json:"missing"`
	Paused     bool       `json:"paused"`
	MaxUseful  int64      `json:"maxUseful,omitempty"`
	Quality    string     `json:"quality"`
	Orphaned   int64      `json:"orphaned,omitempty"`
	Ignored    int64      `json:"ignored,omitempty"`
	Warning    string     `json:"warning,omitempty"`
	Hint       string     `json:"hint,omitempty"`
	// Queues are the parts of an aggregate reading.
	Queues []partReport `json:"queues,omitempty"`
}

// A partReport is one queue of an aggregate.
type partReport struct {
	Queue    string `json:"queue"`
	Ready    int64  `json:"ready"`
	Due      int64  `json:"due"`
	InFlight *int64 `json:"inFlight,omitempty"`
	Missing  bool   `json:"missing"`
	Paused   bool   `json:"paused"`
}

func report(t trigger.Trigger, r backlog.Reading) readingReport {
	out := readingReport{
		Connection: backlog.Line(t.Connection), Layout: t.Query.Layout, Queue: backlog.Line(t.Query.Queue),
		At: r.At, Backlog: r.Backlog(), Ready: r.Ready, Due: r.Due,
		Missing: r.Missing, Paused: r.Paused, MaxUseful: r.MaxUseful,
		Quality: r.Quality.String(), Warning: backlog.Line(r.Warning), Hint: backlog.Line(r.Hint), Orphaned: r.Orphaned, Ignored: r.Ignored,
	}
	out.InFlight = known(r.InFlight)
	out.Consumers = known(r.Consumers)
	if r.Measured.Known {
		out.Measured = new(r.Measured.Float())
	}
	if !r.NextDue.IsZero() {
		out.NextDue = &r.NextDue
	}
	if r.Oldest.Kind != backlog.AgeUnknown {
		out.Oldest, out.OldestKind = &r.Oldest.Since, r.Oldest.Kind.String()
	}
	for _, part := range r.Parts {
		p := part.Reading
		out.Queues = append(out.Queues, partReport{backlog.Line(part.Queue), p.Ready, p.Due, known(p.InFlight), p.Missing, p.Paused})
	}
	return out
}

// known returns the number of a known count, else nil.
func known(c backlog.Count) *int64 {
	if !c.Known {
		return nil
	}
	return &c.N
}

func printJSON(stdout io.Writer, t trigger.Trigger, result backlog.Result) error {
	encoder := json.NewEncoder(stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report(t, result.Reading))
}

func printReading(stdout io.Writer, t trigger.Trigger, result backlog.Result) error {
	r := report(t, result.Reading)
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	line := func(name, value string) { _, _ = fmt.Fprintf(table, "%s\t%s\n", name, value) }
	line(r.Layout, r.Queue+" on "+r.Connection)
	if r.Measured != nil {
		return printMeasured(table, line, r)
	}
	line("backlog", strconv.FormatInt(r.Backlog, 10)+" ("+r.Quality+")")
	line("ready", strconv.FormatInt(r.Ready, 10))
	line("due", strconv.FormatInt(r.Due, 10))
	line("in flight", count(r.InFlight))
	line("consumers", count(r.Consumers))
	if r.Oldest != nil {
		line("oldest waits", r.At.Sub(*r.Oldest).Round(time.Millisecond).String()+" ("+r.OldestKind+")")
	}
	if r.NextDue != nil {
		line("next due in", r.NextDue.Sub(r.At).Round(time.Millisecond).String())
	}
	if r.MaxUseful > 0 {
		line("useful workers", "at most "+strconv.FormatInt(r.MaxUseful, 10))
	}
	if r.Missing {
		line("note", "the queue does not exist")
	}
	if r.Paused {
		line("note", "the queue is paused")
	}
	if r.Orphaned > 0 {
		line("orphaned", strconv.FormatInt(r.Orphaned, 10)+" of these, which nothing in the framework moves")
	}
	if r.Ignored > 0 {
		line("not counted", strconv.FormatInt(r.Ignored, 10)+" orphaned for longer than orphanedAfter")
	}
	if r.Warning != "" {
		line("warning", r.Warning)
	}
	if r.Hint != "" {
		line("hint", r.Hint)
	}
	if err := table.Flush(); err != nil || len(r.Queues) == 0 {
		return err
	}
	return printQueues(stdout, r.Queues)
}

// printMeasured prints the rest of a reading that counts no messages.
func printMeasured(table *tabwriter.Writer, line func(name, value string), r readingReport) error {
	line("measured", strconv.FormatFloat(*r.Measured, 'f', -1, 64))
	if r.Warning != "" {
		line("warning", r.Warning)
	}
	return table.Flush()
}

func printQueues(stdout io.Writer, queues []partReport) error {
	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "\nqueue\tready\tdue\tin flight\tnote")
	for _, q := range queues {
		note := ""
		switch {
		case q.Missing:
			note = "does not exist"
		case q.Paused:
			note = "paused"
		}
		_, _ = fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\n", q.Queue, q.Ready, q.Due, count(q.InFlight), note)
	}
	return table.Flush()
}

func count(n *int64) string {
	if n == nil {
		return "unknown"
	}
	return strconv.FormatInt(*n, 10)
}
