package kube

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// start is the time of the first observation of a table.
func start() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

func TestJumpOccasions(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		occasion policies.Jump
		// seen are the replicas that were seen before, a second apart.
		seen                []int32
		replicas, to, floor int32
		want                bool
	}{
		"never":                                   {policies.JumpNever, []int32{0, 1}, 1, 40, 10, false},
		"from zero":                               {policies.JumpFromZero, []int32{0, 1}, 1, 40, 0, true},
		"still at zero, where KEDA acts":          {policies.JumpFromZero, []int32{0}, 0, 40, 0, false},
		"always, at zero":                         {policies.JumpAlways, []int32{0}, 0, 40, 0, false},
		"zero was never seen":                     {policies.JumpFromZero, []int32{1}, 1, 40, 0, false},
		"from two, after zero":                    {policies.JumpFromZero, []int32{0, 1, 2}, 2, 40, 0, true},
		"no more are reported":                    {policies.JumpFromZero, []int32{0, 1}, 1, 1, 0, false},
		"never down":                              {policies.JumpAlways, []int32{5}, 5, 4, 0, false},
		"floor above the replicas":                {policies.JumpFloor, []int32{5}, 5, 12, 10, true},
		"floor below the replicas":                {policies.JumpFloor, []int32{10}, 10, 12, 10, false},
		"a floor that a step keeps from reaching": {policies.JumpFloor, []int32{5}, 5, 7, 10, true},
		"floor and from zero":                     {policies.JumpFloor, []int32{0, 1}, 1, 12, 0, true},
		"always":                                  {policies.JumpAlways, []int32{5}, 5, 6, 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var j jumper
			for i, replicas := range test.seen {
				j.see(replicas, start().Add(time.Duration(i)*time.Second))
			}
			if got := j.due(test.occasion, test.replicas, test.to, test.floor); got != test.want {
				t.Errorf("due is %v, want %v", got, test.want)
			}
		})
	}
}

// TestJumpOnlyWhileStarting: a workload that has run for a minute does not start any more.
func TestJumpOnlyWhileStarting(t *testing.T) {
	t.Parallel()
	var j jumper
	j.see(0, start())
	j.see(1, start().Add(time.Second))
	j.see(1, start().Add(59*time.Second))
	if !j.due(policies.JumpFromZero, 1, 40, 0) {
		t.Error("no jump 58 s after the first replica")
	}
	j.see(1, start().Add(61*time.Second))
	if j.due(policies.JumpFromZero, 1, 40, 0) {
		t.Error("a jump a minute after the first replica")
	}
}

// TestJumpTakenBack: KEDA writes 1 over 40 again and again. The jump is repeated three times.
func TestJumpTakenBack(t *testing.T) {
	t.Parallel()
	var j jumper
	now := start()
	j.see(0, now)
	for repeat := range maxRepeats + 1 {
		now = now.Add(time.Second)
		if exhausted := j.see(1, now); exhausted {
			t.Fatalf("given up after %d jumps", repeat)
		}
		if !j.due(policies.JumpFromZero, 1, 40, 0) {
			t.Fatalf("jump %d is not due", repeat+1)
		}
		j.jumped(40, now)
		j.see(40, now.Add(100*time.Millisecond))
	}
	if !j.see(1, now.Add(time.Second)) {
		t.Error("the end of repetitions is not reported")
	}
	if j.see(1, now.Add(2*time.Second)) {
		t.Error("the end of repetitions is reported twice")
	}
	if j.due(policies.JumpAlways, 1, 40, 0) {
		t.Error("a jump after all repetitions")
	}
	j.see(0, now.Add(3*time.Second))
	j.see(1, now.Add(4*time.Second))
	if j.due(policies.JumpFromZero, 1, 40, 0) {
		t.Error("a jump at once after it was given up")
	}
	j.see(0, now.Add(restFor))
	j.see(1, now.Add(restFor+time.Second))
	if !j.due(policies.JumpFromZero, 1, 40, 0) {
		t.Error("no jump ten minutes later")
	}
}

// TestJumpThatStands: a number that falls after it was held is no failure.
func TestJumpThatStands(t *testing.T) {
	t.Parallel()
	var j jumper
	now := start()
	for range 10 {
		j.see(0, now)
		j.see(1, now.Add(time.Second))
		if !j.due(policies.JumpFromZero, 1, 40, 0) {
			t.Fatal("no jump")
		}
		j.jumped(40, now.Add(time.Second))
		j.see(40, now.Add(2*time.Second))
		j.see(20, now.Add(time.Second+heldFor))
		now = now.Add(2 * heldFor)
	}
}

// TestJumpProperties: whatever is seen, a jump only raises, never begins at zero, and at most four
// jumps in a row are taken back.
func TestJumpProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var j jumper
		now, takenBack := start(), 0
		for range rapid.IntRange(1, 200).Draw(t, "observations") {
			now = now.Add(time.Duration(rapid.IntRange(1, 90_000).Draw(t, "ms")) * time.Millisecond)
			replicas := rapid.SampledFrom([]int32{0, 1, 1, 1, 2, 40}).Draw(t, "replicas")
			to := rapid.Int32Range(0, 50).Draw(t, "to")
			switch held := !now.Before(j.at.Add(heldFor)); {
			case j.standing && held:
				takenBack = 0
			case j.standing && replicas < j.to:
				takenBack++
			}
			if !now.Before(j.at.Add(restFor)) {
				takenBack = 0
			}
			j.see(replicas, now)
			if !j.due(policies.JumpAlways, replicas, to, 0) {
				continue
			}
			if replicas < 1 || to <= replicas {
				t.Fatalf("a jump from %d to %d", replicas, to)
			}
			if takenBack > maxRepeats {
				t.Fatalf("a jump after %d were taken back", takenBack)
			}
			j.jumped(to, now)
		}
	})
}
