package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Resident is how much memory the process occupies, in bytes: VmRSS. Only Linux tells.
func (p *Process) Resident() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(status)) {
		size, found := strings.CutPrefix(line, "VmRSS:")
		if !found {
			continue
		}
		kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 64)
		if err != nil {
			return 0, fmt.Errorf("read the memory of %s: %w", p.name, err)
		}
		return kilobytes * 1024, nil
	}
	return 0, fmt.Errorf("read the memory of %s: its status has no VmRSS", p.name)
}

// CPU is how much processor time the threads that the process has now have used so far. Only Linux tells.
func (p *Process) CPU() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID()))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("read the processor time of %s: it has no threads (%w)", p.name, err)
	}
	var sum time.Duration
	for _, thread := range threads {
		text, err := os.ReadFile(filepath.Clean(thread))
		if err != nil {
			return 0, fmt.Errorf("read the processor time of %s: %w", p.name, err)
		}
		// The first number is the time on a processor, in nanoseconds: https://docs.kernel.org/scheduler/sched-stats.html
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read the processor time of %s: %w", p.name, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}
