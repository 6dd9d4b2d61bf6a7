package childprocess

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// stopPatience is how long threads may take to stop. One in the middle of an access to a disk stops
// when that has ended.
const stopPatience = 30 * time.Second

// AwaitStopped returns when processes that got SIGSTOP run no more. The signal only asks: a thread that
// runs on another processor goes on until it enters the kernel, and may send an answer meanwhile.
func AwaitStopped(pids ...int) error {
	deadline, ticker := time.NewTimer(stopPatience), time.NewTicker(time.Millisecond)
	defer deadline.Stop()
	defer ticker.Stop()
	for _, pid := range pids {
		for !stopped(pid) {
			select {
			case <-ticker.C:
			case <-deadline.C:
				return fmt.Errorf("stop process %d: it still runs after %s", pid, stopPatience)
			}
		}
	}
	return nil
}

// stopped reports whether no thread of a process runs.
func stopped(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false
	}
	for _, thread := range threads {
		stat, err := os.ReadFile(filepath.Clean(thread))
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended
		}
		if fields := afterName(stat); err != nil || len(fields) == 0 || !bytes.ContainsAny(fields[fieldState], "TtZX") {
			return false
		}
	}
	return true
}

// Children returns the processes that a process has started, and that have not ended. Only Linux reports them.
func Children(pid int) ([]int, error) { return processesWith(fieldParent, pid) }

// group returns the processes of a process group.
func group(id int) ([]int, error) { return processesWith(fieldGroup, id) }

// The fields of a stat file after the name.
const (
	fieldState = iota
	fieldParent
	fieldGroup
)

// processesWith returns the processes with a number in a field of their stat files.
func processesWith(field, number int) ([]int, error) {
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []int
	for _, path := range all {
		stat, err := os.ReadFile(filepath.Clean(path))
		if err != nil {
			continue // it has ended
		}
		if fields := afterName(stat); len(fields) <= field || string(fields[field]) != strconv.Itoa(number) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		found = append(found, pid)
	}
	return found, nil
}

// afterName returns the fields of a stat file from the state on, which follows the name in brackets:
// https://docs.kernel.org/filesystems/proc.html.
func afterName(stat []byte) [][]byte {
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
}
