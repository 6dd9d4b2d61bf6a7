package main

import (
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/comparison"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/tuning"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// tuneCommand searches settings.
type tuneCommand struct {
	workload
	Candidate string `required:"" short:"c" type:"path" placeholder:"FILE" help:"YAML file with the ScaledObject of today, which has one trigger of the scaler, and with the AutoscalerPolicy if it names one."`
	SLO       goal   `required:"" name:"slo" placeholder:"pN=TIME" help:"Goal: a percentile of the waiting and the time that it is at most, such as p95=30s."`
	Points    int    `default:"81" help:"Number of settings that are tried besides those of today, at most 256."`
	Seed      uint64 `default:"1" help:"Seed of all that is drawn."`
	All       bool   `help:"Search all settings although the trace is shorter than two days or has lower bounds; by default only the smallest and the largest number of replicas then."`
	HTML      string `name:"html" type:"path" placeholder:"FILE" help:"File to write a page to, with charts of today and of the proposal on the whole trace."`
	Output    string `short:"o" enum:"text,json" default:"text" help:"Output format: ${enum}."`
}

// A goal is a percentile of the waiting with a time.
type goal tuning.Goal

// UnmarshalText parses a goal; kong calls it.
func (g *goal) UnmarshalText(text []byte) error {
	match := regexp.MustCompile(`^p([1-9]\d?)=(.+)$`).FindSubmatch(text)
	if match == nil {
		return fmt.Errorf("%q: want a percentile from p1 to p99 and a time, such as p95=30s", text)
	}
	wait, err := time.ParseDuration(string(match[2]))
	if err != nil || wait <= 0 || wait > 24*time.Hour {
		return fmt.Errorf("%q: want a time of at most 24h, such as p95=30s", text)
	}
	percentile, err := strconv.Atoi(string(match[1]))
	*g = goal{Percentile: percentile, Wait: wait}
	return err
}

// Validate reports values that are out of range; kong calls it.
func (c *tuneCommand) Validate() error {
	const most = 256
	if c.Points < 1 || c.Points > most {
		return fmt.Errorf("--points=%d: want 1 to %d", c.Points, most)
	}
	return c.check()
}

// Run searches and prints what was found.
func (c *tuneCommand) Run(engines []backlog.Engine, stdout io.Writer, build telemetry.Build) error {
	read, workers, reader, err := c.load(engines)
	if err != nil {
		return err
	}
	found, err := readCandidates(reader, c.Candidate)
	if err != nil {
		return err
	}
	if len(found) != 1 {
		return fmt.Errorf("%s: %d ScaledObjects, want one", c.Candidate, len(found))
	}
	today := &found[0]
	if err := today.Tunable(); err != nil {
		return fmt.Errorf("%s: %w", c.Candidate, err)
	}
	// The rounds of a search come to some three runs of each setting on the whole trace.
	const runs = 3
	if err := checkWork(read.Trace, []simulation.Candidate{today.Candidate}, c.Points*runs); err != nil {
		return err
	}
	s := &tuning.Search{
		Trace: read.Trace, Workers: workers, Today: today, Goal: tuning.Goal(c.SLO), Points: c.Points, Seed: c.Seed, Each: atOnce,
		Change: func(settings *candidate.Settings) (candidate.Candidate, error) { return reader.With(today, settings) },
	}
	t := comparison.Tuned{Digest: read.digest, Search: s, Notes: append(today.Notes, undated(read.Trace, []simulation.Candidate{today.Candidate})...)}
	if short := tuning.Short(s); short != "" {
		s.Bounds = !c.All
		note := short + ", so that nothing but the smallest and the largest number of replicas is searched; --all searches all settings"
		if c.All {
			note = short + ", so that the next days may well be different"
		}
		t.Notes = append(t.Notes, note)
	}
	t.Verdict = s.Run()
	if t.Best != nil {
		data, err := t.Best.Candidate.YAML()
		if err != nil {
			return err
		}
		t.YAML = string(data)
	}
	if c.HTML != "" {
		if err := c.page(&t, build); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		return t.JSON(stdout)
	}
	return t.Text(stdout)
}

// page writes a page that compares today with the proposal.
func (c *tuneCommand) page(t *comparison.Tuned, build telemetry.Build) error {
	const seeds = 20
	s := t.Search
	candidates := []simulation.Candidate{s.Today.Candidate}
	candidates[0].Name = "today"
	if t.Best != nil {
		candidates = append(candidates, t.Best.Candidate.Candidate)
		candidates[1].Name = "proposal: " + t.Best.Settings.String()
	}
	if like := candidate.BuiltIn(s.Today); like != nil {
		candidates = append(candidates, *like)
	}
	r := comparison.Report{
		Version: build.Version, Digest: t.Digest, Trace: s.Trace, Workers: s.Workers, Seeds: seeds, Notes: t.Notes,
		Options: simulation.Options{Goal: s.Goal.Wait, MostAfter: simulation.DefaultMostAfter, From: simulation.Beginning(s.Trace, candidates)},
	}
	if t.Best == nil {
		r.Notes = append(r.Notes, "no better than today: "+t.Why)
	}
	for i := range t.Curve {
		r.Tried = append(r.Tried, comparison.Tried{Settings: t.Curve[i].Settings.String(), Cost: t.Curve[i].First.Cost, Wait: t.Curve[i].First.Wait})
	}
	r.Results = simulation.Compare(candidates, s.Workers, s.Trace, seeds, r.Options)
	r.Varied = simulation.CompareVaried(candidates, s.Workers, s.Trace, seeds, r.Options)
	return writeFile(c.HTML, r.HTML)
}

// atOnce calls f for 0 to n-1, as many at once as there are processors.
func atOnce(n int, f func(i int)) {
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			f(i)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
}
