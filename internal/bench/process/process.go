// Package process starts the programs that are measured, each as a process of its
// own, and looks at them from outside as the operating system does.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/usage"
)

const (
	// patience bounds the wait for a program to become ready.
	patience = 20 * time.Second
	// probeInterval is how often it is asked whether it is. A start takes tens of
	// milliseconds.
	probeInterval = time.Millisecond
)

// A Process is a program that serves gRPC and HTTP and says where, by a line with
// "grpc=ADDRESS" and "http=ADDRESS" on its standard error.
type Process struct {
	// GRPC and HTTP are where it listens.
	GRPC, HTTP string
	// Ready is how long it took from the start to the first "ready".
	Ready time.Duration

	command *exec.Cmd
	http    *http.Client
	// ended delivers what the program ended with.
	ended chan error
	last  string // line of its standard error before it said where it listens
}

// Start starts a program, with environment beside that of this one, and waits until it
// is ready. It is killed when ctx ends.
func Start(ctx context.Context, environment []string, program string, arguments ...string) (*Process, error) {
	p := &Process{http: &http.Client{Timeout: patience}, ended: make(chan error, 1)}
	p.command = exec.CommandContext(ctx, program, arguments...)
	p.command.SysProcAttr = attributes()
	p.command.Env = append(p.command.Environ(), environment...)
	output, err := p.command.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	began := time.Now()
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	said := make(chan bool, 1)
	go func() {
		said <- p.listen(output)
		// What it says later goes nowhere, but it must be able to say it.
		_, _ = io.Copy(io.Discard, output)
		p.ended <- p.command.Wait()
	}()
	if err := p.await(ctx, said); err != nil {
		p.Kill()
		return nil, fmt.Errorf("start %s: %w: %s", program, err, p.last)
	}
	p.Ready = time.Since(began)
	return p, nil
}

// listen reads until the program says where it listens, and tells whether it did.
func (p *Process) listen(output io.Reader) bool {
	lines := bufio.NewReader(output)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return false
		}
		p.last = strings.TrimSpace(line)
		for word := range strings.FieldsSeq(line) {
			if address, found := strings.CutPrefix(word, "grpc="); found {
				p.GRPC = address
			}
			if address, found := strings.CutPrefix(word, "http="); found {
				p.HTTP = address
			}
		}
		if p.GRPC != "" && p.HTTP != "" {
			return true
		}
	}
}

// await waits until the program is ready.
func (p *Process) await(ctx context.Context, said <-chan bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case listens := <-said:
		if !listens {
			return errors.New("it ended before it listened")
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	for {
		_, err := p.Get(ctx, "/readyz")
		if err == nil {
			return nil
		}
		select {
		case <-probe.C:
		case <-ctx.Done():
			return fmt.Errorf("wait until it is ready: %w", err)
		}
	}
}

// Get returns what the program serves at a path of its HTTP port.
func (p *Process) Get(ctx context.Context, path string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.HTTP+path, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("get %s: %w", path, err)
	}
	response, err := p.http.Do(request)
	if err != nil {
		return "", fmt.Errorf("get %s: %w", path, err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return "", fmt.Errorf("get %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("get %s: %s", path, response.Status)
	}
	return string(body), nil
}

// Kill ends the program at once and waits for it. It is idempotent.
func (p *Process) Kill() {
	// It may have ended before.
	_ = p.command.Process.Kill()
	err := <-p.ended
	p.ended <- err
	p.http.CloseIdleConnections()
}

// Resident is how much memory the program occupies, in bytes.
func (p *Process) Resident() (float64, error) { return usage.Resident(p.command.Process.Pid) }

// Peak is the most memory that the program has occupied so far, in bytes.
func (p *Process) Peak() (float64, error) { return usage.Peak(p.command.Process.Pid) }

// CPU is how much processor time the program has used so far.
func (p *Process) CPU() (time.Duration, error) { return usage.CPU(p.command.Process.Pid) }

// Collect makes the program collect its garbage. It needs its profiles.
func (p *Process) Collect(ctx context.Context) error {
	_, err := p.Get(ctx, "/debug/pprof/heap?gc=1")
	return err
}

// Held is the memory that the program holds once it has collected its garbage, by its
// own account, in bytes: without what it has ready for growth. It needs its profiles.
func (p *Process) Held(ctx context.Context) (float64, error) {
	profile, err := p.Get(ctx, "/debug/pprof/heap?gc=1&debug=1")
	if err != nil {
		return 0, err
	}
	all, err := statistic(profile, "Sys")
	if err != nil {
		return 0, err
	}
	idle, err := statistic(profile, "HeapIdle")
	return all - idle, err
}

// Allocations is how many objects the program has allocated so far. It needs its profiles.
func (p *Process) Allocations(ctx context.Context) (float64, error) {
	profile, err := p.Get(ctx, "/debug/pprof/allocs?debug=1")
	if err != nil {
		return 0, err
	}
	return statistic(profile, "Mallocs")
}

// statistic is one of runtime.MemStats, as a profile tells them.
func statistic(profile, name string) (float64, error) {
	for line := range strings.Lines(profile) {
		if value, found := strings.CutPrefix(line, "# "+name+" = "); found {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("look at the memory: the profile does not tell %s", name)
}
