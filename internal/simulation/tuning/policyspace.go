package tuning

import (
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/candidate"
)

// policy draws what a policy has and a trigger has not.
func (s *space) policy(p *candidate.Settings, u []float64) {
	windows := floors(s.today.Policy)
	mean, most := s.replicas(s.rates.Mean), s.replicas(s.rates.Most)
	p.Hold = hold(u[0])
	p.Up = pick(u[1], nil, &candidate.Step{},
		&candidate.Step{Percent: 50, Period: 30 * time.Second, Ready: 100}, &candidate.Step{Percent: 100, Period: 30 * time.Second, Ready: 100},
		&candidate.Step{Percent: 100, Period: 15 * time.Second}, &candidate.Step{Percent: 300, Period: 15 * time.Second})
	p.Down = pick(u[2], nil, &candidate.Step{}, &candidate.Step{Percent: 10, Period: time.Minute},
		&candidate.Step{Percent: 25, Period: time.Minute}, &candidate.Step{Percent: 50, Period: time.Minute})
	jumps := []*policies.Jump{nil, new(policies.JumpNever), new(policies.JumpFromZero), new(policies.JumpAlways)}
	if len(windows) > 0 {
		jumps = append(jumps, new(policies.JumpFloor))
	}
	if jump := pick(u[3], jumps...); jump != nil {
		p.Jump = *jump
	}
	p.Follow = u[4] >= 0.5
	if p.Up != nil && p.Up.Percent > 0 {
		p.Up.First = *pick(u[5], new(int32(0)), new(mean), new((most+1)/2))
	}
	for i, f := range windows {
		if drawn := pick(u[policyDimensions+i], nil, new((f.Replicas+1)/2), new(f.Replicas+(f.Replicas+1)/2), new(2*f.Replicas), new(mean)); drawn != nil && *drawn != f.Replicas {
			p.Floors = append(p.Floors, candidate.Floor{Schedule: f.Schedule, Replicas: *drawn})
		}
	}
	s.drop(p)
}

// drop removes what is so today, because it is no change.
func (s *space) drop(p *candidate.Settings) {
	today := s.today.Policy
	if p.Up != nil && p.Up.Percent == 0 && today.Spec.Up == nil {
		p.Up = nil
	}
	if today.Spec.Down == nil {
		if p.Down != nil && p.Down.Percent == 0 {
			p.Down = nil
		}
		if p.Hold != nil && *p.Hold == 0 {
			p.Hold = nil
		}
	}
	if p.Jump == today.Jump {
		p.Jump = ""
	}
	p.Follow = p.Follow && !s.today.Follows()
}

// floors returns the floors of the schedules of a policy. A floor of zero, and an exact number, are meant
// as they are.
func floors(p *policies.Policy) []candidate.Floor {
	var all []candidate.Floor
	for i := range p.Spec.Schedules {
		if s := &p.Spec.Schedules[i]; s.Floor != nil && *s.Floor > 0 {
			all = append(all, candidate.Floor{Schedule: s.Name, Replicas: *s.Floor})
		}
	}
	return all
}
