package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/bench/subject"
)

// machine describes what was measured on.
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
	output, err := exec.CommandContext(ctx, "redis-server", "--version").Output()
	if err != nil {
		return "redis-server"
	}
	_, rest, _ := strings.Cut(string(output), "v=")
	version, _, _ := strings.Cut(rest, " ")
	return "redis-server " + version
}

// patience bounds one subject without clusters. The longest takes about two minutes.
const patience = 8 * time.Minute

// bounded ends a subject that takes too long. Its context has no deadline, which calls would carry to the
// server: those of KEDA's streams have none.
func bounded(ctx context.Context, s subject.Subject, programs subject.Programs) (subject.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer time.AfterFunc(patience, cancel).Stop()
	return s.Run(ctx, programs)
}
