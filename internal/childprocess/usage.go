package childprocess

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Resident is how much memory the process occupies, in bytes: VmRSS. Only Linux reports it.
func (p *Process) Resident() (float64, error) { return memory(p.PID(), "VmRSS:") }

// Anonymous is what the process occupies now of its own, in bytes: RssAnon, which is VmRSS without the
// parts of files that the system has mapped, such as those of the program. Only Linux reports it.
func (p *Process) Anonymous() (float64, error) { return memory(p.PID(), "RssAnon:") }

// Peak is the most memory that the process has occupied so far, in bytes: VmHWM without the parts of
// files that are mapped now. Only Linux reports it.
func (p *Process) Peak() (float64, error) {
	all, err := memory(p.PID(), "VmHWM:")
	if err != nil {
		return 0, err
	}
	files, err := memory(p.PID(), "RssFile:")
	return all - files, err
}

func memory(pid int, field string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		size, found := strings.CutPrefix(line, field)
		if !found {
			continue
		}
		kilobytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(size), " kB"), 64)
		if err != nil {
			return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
		}
		return kilobytes * 1024, nil
	}
	return 0, fmt.Errorf("read the memory of process %d: it has none", pid)
}

// CPU is how much processor time the process has used so far, in the threads that it has now: those of
// a Go program never end. Only Linux reports it.
func (p *Process) CPU() (time.Duration, error) {
	pid := p.PID()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(threads) == 0 {
		err = errors.New("it has no threads")
	}
	var sum time.Duration
	for _, thread := range threads {
		n, failed := onProcessor(thread)
		sum, err = sum+n, errors.Join(err, failed)
	}
	if err != nil {
		return 0, fmt.Errorf("read the processor time of process %d: %w", pid, err)
	}
	return sum, nil
}

// onProcessor is the time of a thread on a processor. It comes first, in nanoseconds:
// https://docs.kernel.org/scheduler/sched-stats.html
func onProcessor(schedstat string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Clean(schedstat))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		// The thread has ended since.
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(n), err
}
