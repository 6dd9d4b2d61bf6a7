// Command bench measures the scaler beside the least that its work can cost, and
// tells where it is short of its bounds. "make bench" runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/attack"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/floor"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/measure"
	"github.com/backlog-scaler/backlog-scaler/internal/bench/report"
)

// floorCommand makes this program the server that the scaler is compared with.
const floorCommand = "floor"

// attackCommand makes this program a tenant that takes all it can get.
const attackCommand = "attack"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: arguments in, exit code out.
func run(arguments []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case len(arguments) == 1 && arguments[0] == floorCommand:
		err = floor.Serve(ctx, stderr)
	case len(arguments) == 4 && arguments[0] == attackCommand:
		err = attack.Run(ctx, arguments[1], arguments[2], arguments[3], stdout)
	default:
		err = bench(ctx, arguments, stdout, stderr)
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

// errShort is a figure that does not keep its bound.
var errShort = errors.New("short of a bound")

func bench(ctx context.Context, arguments []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	scaler := flags.String("scaler", "bin/scaler", "the scaler to measure")
	only := flags.String("run", "", "measure only what this regular expression matches")
	attacks := flags.String("attacks", "", "make only the attacks that this regular expression matches")
	write := flags.Bool("write", false, "write the figures and the plots of docs/performance.md")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-run: %w", err)
	}
	made, err := regexp.Compile(*attacks)
	if err != nil {
		return fmt.Errorf("-attacks: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	programs := measure.Programs{Scaler: *scaler, Floor: []string{self, floorCommand}, Attack: []string{self, attackCommand}, Attacks: made, Dir: dir}
	short := false
	results := make(map[string]measure.Result)
	for _, scenario := range measure.All() {
		if !wanted.MatchString(scenario.Name) {
			continue
		}
		result, err := runBounded(ctx, scenario, programs)
		if err != nil {
			return fmt.Errorf("measure %s: %w", scenario.Name, err)
		}
		results[scenario.Name] = result
		for _, f := range result.Figures {
			short = short || f.Short()
			if err := f.Print(stdout); err != nil {
				return err
			}
		}
	}
	if *write {
		if err := report.Write(".", machine(ctx), results); err != nil {
			return err
		}
	}
	if short {
		return errShort
	}
	return nil
}

// machine says on what was measured.
func machine(ctx context.Context) string {
	model := runtime.GOARCH
	if cpu, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, found := strings.Cut(string(cpu), "model name\t: "); found {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	return fmt.Sprintf("%d cores of %s, %s, %s, %s.", runtime.NumCPU(), model, runtime.GOOS, runtime.Version(), server(ctx))
}

// server is the version of Redis.
func server(ctx context.Context) string {
	said, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "redis-server"
	}
	_, rest, _ := strings.Cut(string(said), "v=")
	version, _, _ := strings.Cut(rest, " ")
	return "redis-server " + version
}

// patience bounds one scenario. The longest takes about two minutes.
const patience = 8 * time.Minute

// runBounded ends a scenario that takes too long. Its context has no deadline, which
// calls would carry to the server: those of KEDA's streams have none.
func runBounded(ctx context.Context, scenario measure.Scenario, programs measure.Programs) (measure.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(patience, cancel).Stop()
	return scenario.Run(ctx, programs)
}
