package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/cli/command"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/comparison"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

// workload are the flags of the commands that replay a trace.
type workload struct {
	Trace       string        `arg:"" type:"path" help:"Trace that scaler record has written, or a CSV with the columns time and arrivals; - is the standard input."`
	Service     length        `placeholder:"TIME" help:"Time that a worker takes for one message, such as 500ms, or its 50th and 95th percentile, such as 500ms/2s. Needed unless the trace has it."`
	Startup     length        `default:"10s" placeholder:"TIME" help:"Time from a change of the replicas until a new pod takes messages; one time, or two percentiles."`
	Cold        length        `placeholder:"TIME" help:"What is added to that for some pods, as for a new node; one time, or two percentiles."`
	ColdShare   float64       `placeholder:"PART" help:"Part of the pods that --cold is for, from 0 to 1."`
	WarmUp      time.Duration `placeholder:"TIME" help:"Time in which a replica that takes messages gets up to speed; it begins at half of it."`
	Concurrency int           `default:"1" help:"Messages that one replica works on at once."`
	Grace       time.Duration `default:"30s" help:"terminationGracePeriodSeconds of the pods. A message that is not finished by then is queued again."`
	Notice      time.Duration `default:"${notice}" help:"Time until the scaler notices work in an idle queue. An engine that is polled takes up to its interval."`
	Config      string        `type:"path" placeholder:"FILE" help:"Configuration file; triggers are checked against its connections."`
}

// A length is the distribution of a time.
type length struct{ simulation.Distribution }

// UnmarshalText parses a length; kong calls it.
func (l *length) UnmarshalText(text []byte) error {
	d, err := simulation.ParseDistribution(string(text))
	l.Distribution = d
	return err
}

// check reports values that are out of range.
func (w *workload) check() error {
	switch {
	case w.Concurrency < 1 || w.Concurrency > 10_000:
		return fmt.Errorf("--concurrency=%d: want 1 to 10000", w.Concurrency)
	case !(w.ColdShare >= 0 && w.ColdShare <= 1):
		return fmt.Errorf("--cold-share=%g: want 0 to 1", w.ColdShare)
	case (w.ColdShare > 0) == w.Cold.IsZero():
		return errors.New("--cold and --cold-share: want both or none")
	case w.Grace < 0 || w.Notice < 0 || w.WarmUp < 0:
		return errors.New("--grace, --notice and --warm-up: want 0s or more")
	}
	return nil
}

// A recording is a trace with what identifies its content.
type recording struct {
	*trace.Trace

	digest string
}

// maxTraceFile bounds a trace that may be compressed, in bytes.
const maxTraceFile = 256 << 20

// read reads the trace.
func (w *workload) read() (recording, error) {
	data, err := command.ReadFile("trace", w.Trace, maxTraceFile)
	if err != nil {
		return recording{}, err
	}
	read, err := trace.Read(strings.NewReader(string(data)))
	if err != nil {
		return recording{}, fmt.Errorf("%s: %w", w.Trace, err)
	}
	sum := sha256.Sum256(data)
	return recording{read, "sha256:" + hex.EncodeToString(sum[:6])}, nil
}

// workers returns the workers of a trace.
func (w *workload) workers(t *trace.Trace) (*simulation.Workers, error) {
	workers := &simulation.Workers{
		Service: w.Service.Distribution, Startup: w.Startup.Distribution, Cold: w.Cold.Distribution, ColdShare: w.ColdShare, WarmUp: w.WarmUp,
		Concurrency: w.Concurrency, Grace: w.Grace,
	}
	if workers.Service.IsZero() && len(t.Service) > 0 {
		workers.Service = simulation.Empirical(t.Service)
	}
	if workers.Service.IsZero() && slices.ContainsFunc(t.Arrivals, func(a trace.Arrival) bool { return a.Work == 0 }) {
		return nil, errors.New("--service: missing, and the trace does not have the time that a message takes; want one such as 500ms, or two percentiles such as 500ms/2s")
	}
	return workers, nil
}

// reader returns the reader of candidates.
func (w *workload) reader(engines []backlog.Engine) (*candidate.Reader, error) {
	reader := &candidate.Reader{Engines: engines, Notice: w.Notice}
	if w.Config != "" {
		var err error
		if reader.Catalog, err = command.Catalog(w.Config, engines); err != nil {
			return nil, err
		}
	}
	return reader, nil
}

// readCandidates reads the candidates of files.
func readCandidates(reader *candidate.Reader, files ...string) ([]candidate.Candidate, error) {
	var all []candidate.Candidate
	for _, file := range files {
		data, err := command.ReadFile("candidate", file, command.MaxManifestFile)
		if err != nil {
			return nil, err
		}
		read, err := reader.Read(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, read...)
	}
	return all, nil
}

// load reads the trace, and returns its workers and the reader of candidates.
func (w *workload) load(engines []backlog.Engine) (recording, *simulation.Workers, *candidate.Reader, error) {
	read, err := w.read()
	if err != nil {
		return recording{}, nil, nil, err
	}
	workers, err := w.workers(read.Trace)
	if err != nil {
		return recording{}, nil, nil, err
	}
	reader, err := w.reader(engines)
	return read, workers, reader, err
}

// simulateCommand replays a trace.
type simulateCommand struct {
	workload
	Candidate  []string      `required:"" short:"c" type:"path" sep:"none" placeholder:"FILE" help:"YAML file with one or more ScaledObjects, and the AutoscalerPolicies that they name; may be given several times."`
	BuiltIn    bool          `default:"true" negatable:"" help:"Add KEDA's own trigger with the target of the first candidate, unless a candidate has one."`
	SLO        time.Duration `name:"slo" placeholder:"TIME" help:"Time that a message should wait at most; the report has the part that does."`
	Seeds      int           `default:"20" help:"Number of runs, each with other phases of KEDA and the HPA."`
	Replicas   int32         `default:"0" help:"Replicas at the beginning; at least minReplicaCount."`
	Variations bool          `default:"true" negatable:"" help:"Also simulate a fifth fewer and more messages, a fifth more work, and twice the start-up time."`
	Calibrate  bool          `help:"Compare the first candidate, which was in force while the trace was recorded, with what the trace has seen."`
	HTML       string        `name:"html" type:"path" placeholder:"FILE" help:"File to write a page with charts to."`
	Output     string        `short:"o" enum:"text,json" default:"text" help:"Output format: ${enum}."`
}

// The bounds of a comparison.
const (
	// maxCandidates is how many candidates a chart can tell apart.
	maxCandidates = 8
	maxSeeds      = 1000
	// maxWork is about ten minutes, at 100 ns for each message and each poll.
	maxWork = 6e9
)

// Validate reports values that are out of range; kong calls it.
func (c *simulateCommand) Validate() error {
	switch {
	case c.Seeds < 1 || c.Seeds > maxSeeds:
		return fmt.Errorf("--seeds=%d: want 1 to %d", c.Seeds, maxSeeds)
	case c.Replicas < 0 || c.Replicas > 10_000:
		return fmt.Errorf("--replicas=%d: want 0 to 10000", c.Replicas)
	case c.SLO < 0:
		return fmt.Errorf("--slo=%s: want more than 0s", c.SLO)
	}
	return c.check()
}

// Run replays the trace and prints a report.
func (c *simulateCommand) Run(engines []backlog.Engine, stdout io.Writer, build telemetry.Build) error {
	read, workers, reader, err := c.load(engines)
	if err != nil {
		return err
	}
	files, err := readCandidates(reader, c.Candidate...)
	if err != nil {
		return err
	}
	r := comparison.Report{
		Version: build.Version, Digest: read.digest, Trace: read.Trace, Workers: workers, Seeds: c.Seeds,
		Options: simulation.Options{Goal: c.SLO, MostAfter: simulation.DefaultMostAfter},
	}
	candidates := c.all(&r, files)
	r.Notes = append(r.Notes, undated(read.Trace, candidates)...)
	runs := c.Seeds
	if c.Variations {
		runs += simulation.VariedRuns(c.Seeds)
	}
	if err := checkWork(read.Trace, candidates, runs); err != nil {
		return err
	}
	r.Options.From = simulation.Beginning(read.Trace, candidates)
	r.Results = simulation.Compare(candidates, workers, read.Trace, c.Seeds, r.Options)
	if c.Variations {
		r.Varied = simulation.CompareVaried(candidates, workers, read.Trace, c.Seeds, r.Options)
	}
	if c.Calibrate && !r.Calibrate() {
		return fmt.Errorf("--calibrate: %s has no lines with what was seen, as scaler record writes them from a scaler", c.Trace)
	}
	if c.HTML != "" {
		if err := writeFile(c.HTML, r.HTML); err != nil {
			return err
		}
	}
	if c.Output == "json" {
		return r.JSON(stdout)
	}
	return r.Text(stdout)
}

// all returns the candidates of files, and KEDA's own trigger among them. Their notes go to the report.
func (c *simulateCommand) all(r *comparison.Report, files []candidate.Candidate) []simulation.Candidate {
	var candidates []simulation.Candidate
	for i := range files {
		files[i].Start = c.Replicas
		candidates = append(candidates, files[i].Candidate)
		for _, note := range files[i].Notes {
			r.Notes = append(r.Notes, files[i].Name+": "+note)
		}
	}
	if like := candidate.BuiltIn(&files[0]); c.BuiltIn && like != nil && !hasBuiltIn(candidates) {
		candidates = append(candidates, *like)
	}
	return candidates
}

// undated returns a note on the windows of policies, if the trace does not say on which day they are.
func undated(t *trace.Trace, candidates []simulation.Candidate) []string {
	if !t.Start.IsZero() {
		return nil
	}
	for i := range candidates {
		for _, of := range candidates[i].Triggers {
			if of.Policy != nil && !of.Policy.Policy.Schedule().Empty() {
				return []string{"the trace has no date, so that schedules are those of " + simulation.DefaultStart().Format("Monday 2006-01-02, 15:04 MST") + " and later"}
			}
		}
	}
	return nil
}

func hasBuiltIn(candidates []simulation.Candidate) bool {
	return slices.ContainsFunc(candidates, func(c simulation.Candidate) bool {
		return slices.ContainsFunc(c.Triggers, func(t simulation.Trigger) bool { return t.BuiltIn != nil })
	})
}

// checkWork reports a comparison that would not end.
func checkWork(t *trace.Trace, candidates []simulation.Candidate, seeds int) error {
	if len(candidates) > maxCandidates {
		return fmt.Errorf("%d candidates, want at most %d, with KEDA's own trigger among them", len(candidates), maxCandidates)
	}
	work := 0.0
	for i := range candidates {
		work += float64(seeds) * (float64(t.Messages()) + t.End.Seconds() + t.End.Seconds()/candidates[i].Polling.Seconds())
	}
	if work > maxWork {
		return fmt.Errorf("%d messages in %s, %d candidates and %d runs of each take longer than ten minutes; want a shorter trace, or fewer --seeds", t.Messages(), t.End, len(candidates), seeds)
	}
	return nil
}

// writeFile writes a file; what was there before stays until it is complete.
func writeFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	// What a report and a trace have is no secret: names and counts.
	if err := errors.Join(write(file), file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
