// Command bench measures the scaler next to the least that its work can cost, and next to KEDA's built-in
// trigger in whole clusters. It reports where the scaler misses its bounds. "make bench" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/backlog-scaler/backlog-scaler/bench/listeners"
	"github.com/backlog-scaler/backlog-scaler/bench/report"
	"github.com/backlog-scaler/backlog-scaler/bench/subject"
	"github.com/backlog-scaler/backlog-scaler/e2e/measure"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/jetstream/jetstreamtest"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: arguments in, exit code out.
func run(arguments []string, stdout, stderr io.Writer) int {
	if code, served := jetstreamtest.ServeChild(); served {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(arguments, stderr)
	if err == nil {
		err = o.bench(ctx, stdout, stderr)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// errFailed reports that a measurement misses its bound.
var errFailed = errors.New("a bound is missed")

// options are the flags.
type options struct {
	root, scaler, peer string
	subjects, attacks  *regexp.Regexp
	write              bool
}

// parse reads the flags.
func parse(arguments []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the folder of the repository")
	flags.StringVar(&o.scaler, "scaler", "bin/scaler", "the scaler to measure")
	flags.StringVar(&o.peer, "peer", "bin/bench-peer", "the program that the scaler is compared with and attacked by")
	only := flags.String("run", "", "measure only the subjects that this regular expression matches")
	attacks := flags.String("attacks", "", "make only the attacks that this regular expression matches")
	flags.BoolVar(&o.write, "write", false, "write the tables and plots of docs/performance.md")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	// Clusters start programs in folders of their own.
	for _, path := range []struct {
		to *string
		of string
	}{{&o.root, *root}, {&o.scaler, o.scaler}, {&o.peer, o.peer}} {
		if *path.to, err = filepath.Abs(path.of); err != nil {
			return o, fmt.Errorf("find %s: %w", path.of, err)
		}
	}
	if o.subjects, err = regexp.Compile(*only); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	if o.attacks, err = regexp.Compile(*attacks); err != nil {
		return o, fmt.Errorf("-attacks: %w", err)
	}
	return o, nil
}

// bench measures the chosen subjects one after the other. One that cannot be measured does not keep it from the
// next.
func (o options) bench(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	failed := false
	results := make(map[string]subject.Result)
	for _, s := range o.all(dir, stderr) {
		if !o.subjects.MatchString(s.name) || ctx.Err() != nil {
			continue
		}
		result, failure := s.run(ctx)
		if failure != nil {
			err = errors.Join(err, fmt.Errorf("measure %s: %w", s.name, failure))
			continue
		}
		results[s.name] = result
		for _, m := range result.Measurements {
			failed = failed || m.Failed()
			if err := m.Print(stdout); err != nil {
				return err
			}
		}
	}
	if o.write && len(results) > 0 {
		err = errors.Join(err, report.Write(o.root, machine(ctx), results))
	}
	if failed {
		err = errors.Join(err, errFailed)
	}
	return err
}

// A chosen is a subject with all that it needs.
type chosen struct {
	name string
	run  func(context.Context) (subject.Result, error)
}

// all are the subjects, in the order in which they run: those of the scaler alone, then those of clusters.
func (o options) all(dir string, progress io.Writer) []chosen {
	var all []chosen
	programs := subject.Programs{
		Scaler: o.scaler, Baseline: []string{o.peer, "baseline"}, Attack: []string{o.peer, "attack"}, Attacks: o.attacks, Dir: dir,
	}
	for _, s := range append(subject.All(), listeners.Subject()) {
		all = append(all, chosen{s.Name, func(ctx context.Context) (subject.Result, error) {
			return repeated(ctx, func(ctx context.Context) (subject.Result, error) { return bounded(ctx, s, programs) })
		}})
	}
	e2e := filepath.Join(o.root, "e2e")
	clusters := measure.Programs{
		Toolchain: toolchain.Cache{Root: e2e, Progress: progress}, Scaler: o.scaler, Logs: filepath.Join(e2e, ".out", "bench"), Progress: progress,
	}
	for _, s := range measure.All() {
		all = append(all, chosen{s.Name, func(ctx context.Context) (subject.Result, error) {
			if err := os.RemoveAll(filepath.Join(clusters.Logs, s.Name)); err != nil {
				return subject.Result{}, fmt.Errorf("remove the former logs: %w", err)
			}
			measurements, err := s.Run(ctx, clusters)
			return subject.Result{Measurements: measurements}, err
		}})
	}
	return all
}
