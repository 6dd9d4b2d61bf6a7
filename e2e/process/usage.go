package process

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/bench/usage"
)

// Resident is how much memory the process occupies, in bytes.
func (p *Process) Resident() (float64, error) { return usage.Resident(p.PID()) }

// CPU is how much processor time the threads that the process has now have used so far.
func (p *Process) CPU() (time.Duration, error) { return usage.CPU(p.PID()) }
