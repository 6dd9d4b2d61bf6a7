package caller

import (
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/status"

	"github.com/backlog-scaler/backlog-scaler/internal/hpa"
)

// A state is the outcome of the last steps.
type state struct {
	// why is the reason of the last step.
	why string
	// trouble is the present failure; empty if there is none.
	trouble string
	// lastActive is when the scaler last said that there is work, as KEDA notes it.
	lastActive         time.Time
	nextPoll, nextSync time.Time
	// changed is when the replicas were changed last.
	changed time.Time
}

// note takes in trouble from before there is anything to scale.
func (c *Caller) note(s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.trouble != s.trouble {
		c.log.Add(c.object.Name, s.trouble)
	}
	c.state.trouble = s.trouble
}

// trouble says what fails now, empty if nothing does, in the journal once.
func (c *Caller) trouble(text string) {
	c.mu.Lock()
	before := c.state.trouble
	c.state.trouble = text
	c.mu.Unlock()
	switch {
	case text != "" && before == "":
		c.log.Add(c.object.Name, text)
	case text == "" && before != "":
		c.log.Add(c.object.Name, "the scaler answers again")
	}
}

// touch notes that the scaler said that there is work. KEDA keeps whole seconds.
func (c *Caller) touch(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.lastActive = now.Truncate(time.Second)
}

// settling is how long what is known of the queue may be from before the change
// that it led to.
const settling = 1500 * time.Millisecond

// Why says in a few words what the last step came from, or what is awaited. empty
// says that no work is left.
func (c *Caller) Why(now time.Time, empty bool) string {
	replicas := c.workload.Scale().Spec
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state.trouble != "":
		return c.state.trouble
	case replicas > 0 && empty && now.Sub(c.state.changed) > settling:
		return fmt.Sprintf("empty: zero in %s (cooldown, then a poll)", wholeSeconds(c.zeroAt().Sub(now)))
	case replicas == 1 && strings.HasPrefix(c.state.why, "woken"):
		return fmt.Sprintf("%s; HPA in %s", c.state.why, wholeSeconds(c.state.nextSync.Sub(now)))
	default:
		return c.state.why
	}
}

// zeroAt is the first poll after the cooldown: only a poll scales to zero. mu is held.
func (c *Caller) zeroAt() time.Time {
	at := c.state.nextPoll
	for over := c.state.lastActive.Add(c.object.Scaling.Cooldown); at.Before(over); {
		at = at.Add(c.object.Polling)
	}
	return at
}

// explain says what a recommendation came from: "HPA: ceil(48/5) = 10, limited
// scale-up rate".
func explain(value, target float64, r hpa.Recommendation) string {
	plain := int32(min(math.Ceil(value/target), math.MaxInt32))
	text := fmt.Sprintf("HPA: ceil(%s/%s) = %d", number(value), number(target), plain)
	switch {
	case r.Wanted != plain:
		text = fmt.Sprintf("HPA: %s/%s is within 10 %% of %d", number(value), number(target), r.Wanted)
	case r.Reason == hpa.UpLimit || r.Reason == hpa.DownLimit:
		text += fmt.Sprintf(", by steps: %d", r.Replicas)
	case r.Reason == hpa.TooMany:
		text += fmt.Sprintf(", at most %d", r.Replicas)
	case r.Reason == hpa.TooFew:
		text += fmt.Sprintf(", at least %d", r.Replicas)
	}
	if r.Reason == hpa.Stabilized {
		text += fmt.Sprintf(", window holds %d", r.Replicas)
	}
	return text
}

// describe says what failed, in one line, without the noise of gRPC.
func describe(what string, err error) string {
	s := status.Convert(err)
	return fmt.Sprintf("%s: %s: %s", what, s.Code(), strings.Join(strings.Fields(s.Message()), " "))
}

func number(f float64) string { return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func wholeSeconds(d time.Duration) string {
	return fmt.Sprintf("%d s", int64(math.Ceil(max(d, 0).Seconds())))
}
