package backlog_test

import (
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The backlog is everything that workers have to do now. A job that is due later only sets a
// timer, and an unknown count is never taken for an exact zero.
func ExampleReading_Backlog() {
	r := backlog.Reading{Ready: 40, Due: 3, InFlight: backlog.Exactly(5)}
	fmt.Println(r.Backlog(), r.InFlight.Known, r.Consumers.Known)
	// Output: 48 true false
}

// An aggregate sums up the queues of a trigger. One unknown count makes the sum unknown.
func ExampleAggregate() {
	whole := backlog.Aggregate([]backlog.Part{
		{Queue: "emails", Reading: backlog.Reading{Ready: 40, InFlight: backlog.Exactly(5)}},
		{Queue: "invoices", Reading: backlog.Reading{Ready: 2, Quality: backlog.LowerBound}},
	})
	fmt.Println(whole.Ready, whole.InFlight.N, whole.InFlight.Known, whole.Quality)
	// Output: 42 5 false lower bound
}

// A trigger names queues and patterns. A backslash makes a wildcard an ordinary character.
func ExampleParseQueues() {
	queues, err := backlog.ParseQueues(`orders, tenant-*, 100\%, 5\*`)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range queues {
		fmt.Println(name, backlog.IsPattern(name))
	}
	fmt.Println(backlog.Match("tenant-*", "tenant-7"), backlog.Unescape(queues[3]))
	// Output:
	// orders false
	// tenant-* true
	// 100\% false
	// 5\* false
	// true 5*
}

// A limit on queues allows a pattern only if it allows every queue that the pattern can match.
func ExampleConnection_AllowsQueue() {
	c := backlog.Connection{Queues: []string{"{namespace}-*"}}
	fmt.Println(c.AllowsQueue("shop", "shop-a"), c.AllowsQueue("shop", "shop-*"), c.AllowsQueue("shop", "s*"))
	// Output: true true false
}
