// Command bench measures with whole clusters what the scaler costs its queues and KEDA, and how soon there are replicas, beside
// KEDA's built-in trigger. It tells where that is short of its bounds. "make bench" runs it.
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

	"github.com/backlog-scaler/backlog-scaler/e2e/measure"
	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/figure"
	"github.com/backlog-scaler/backlog-scaler/internal/reference"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the program: arguments in, exit code out.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := bench(ctx, arguments, stdout, stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 2
	case err != nil:
		fmt.Fprintln(stderr, "bench:", err)
		return 1
	}
	return 0
}

// errShort is a figure that does not keep its bound.
var errShort = errors.New("short of a bound")

func bench(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	root, err := toolchain.Root()
	if err != nil {
		return err
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	scaler := flags.String("scaler", filepath.Join(root, "..", "bin", "scaler"), "the scaler to measure")
	only := flags.String("run", "", "measure only what this regular expression matches")
	write := flags.Bool("write", false, "write the figures of docs/performance.md")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	programs := measure.Programs{
		Toolchain: toolchain.Cache{Root: root, Progress: stderr}, Scaler: *scaler,
		Logs: filepath.Join(root, ".out", "bench"), Progress: stderr,
	}
	if err := os.RemoveAll(programs.Logs); err != nil {
		return fmt.Errorf("remove the former logs: %w", err)
	}
	var blocks []reference.Block
	short := false
	for _, subject := range measure.All() {
		if !wanted.MatchString(subject.Name) {
			continue
		}
		figures, err := subject.Run(ctx, programs)
		if err != nil {
			return fmt.Errorf("measure %s: %w", subject.Name, err)
		}
		for _, f := range figures {
			short = short || f.Short()
			if err := f.Print(stdout); err != nil {
				return err
			}
		}
		blocks = append(blocks, reference.Block{Name: subject.Name, Text: figure.Table(figures)})
	}
	if *write {
		if err := fill(filepath.Join(root, "..", "docs", "performance.md"), blocks); err != nil {
			return err
		}
	}
	if short {
		return errShort
	}
	return nil
}

// fill writes the blocks into the page.
func fill(page string, blocks []reference.Block) error {
	before, err := os.ReadFile(filepath.Clean(page))
	if err != nil {
		return fmt.Errorf("read the page: %w", err)
	}
	after, err := reference.FillBy("performance", string(before), blocks...)
	if err != nil {
		return fmt.Errorf("write the figures: %w", err)
	}
	if err := os.WriteFile(page, []byte(after), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}
