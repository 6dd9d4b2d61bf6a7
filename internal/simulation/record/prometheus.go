package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A RangeQuery is a question for Prometheus.
type RangeQuery struct {
	// Query returns messages per second, as one series.
	Query string
	// From and To are its time, and Step is the time between two values.
	From, To time.Time
	Step     time.Duration
}

// maxPoints is the number of values of one request: Prometheus returns at most 11,000.
const maxPoints = 10_000

// Prometheus writes the trace of a rate that Prometheus has stored. What it does not have is a gap, and
// no messages. Nothing is written before all of it was read.
func Prometheus(ctx context.Context, source backlog.Ranger, out io.Writer, q RangeQuery) (Summary, error) {
	summary := Summary{Quality: trace.Reconstructed}
	var arrivals []trace.Arrival
	rest := 0.0
	next := q.From.Add(q.Step)
	for from := q.From.Add(q.Step); !from.After(q.To); from = from.Add(maxPoints * q.Step) {
		to := from.Add((maxPoints - 1) * q.Step)
		if to.After(q.To) {
			to = q.To
		}
		values, err := source.Range(ctx, q.Query, from, to, q.Step)
		if err != nil {
			return summary, fmt.Errorf("ask Prometheus: %w", err)
		}
		for _, v := range values {
			if v.At.After(next) {
				summary.Gaps++
			}
			next = v.At.Add(q.Step)
			// A value at a time is the rate of the step before it. What is left of a message is carried on.
			exact := max(v.Value, 0)*q.Step.Seconds() + rest
			count := int64(exact)
			rest = exact - float64(count)
			if count == 0 {
				continue
			}
			if summary.Messages += count; summary.Messages > trace.MaxMessages {
				return summary, fmt.Errorf("more than %d messages, want a shorter time", trace.MaxMessages)
			}
			arrivals = append(arrivals, trace.Arrival{At: v.At.Sub(q.From) - q.Step, Over: q.Step, Count: count})
		}
	}
	if !next.After(q.To) {
		summary.Gaps++
	}
	if summary.Messages == 0 {
		return summary, errors.New("ask Prometheus: the query has no messages in this time; want a rate in messages per second, such as sum(rate(orders_total[1m]))")
	}
	w, err := trace.NewWriter(out, trace.Header{
		Start: q.From, End: q.To.Sub(q.From), Unit: "messages", Source: "Prometheus", Resolution: q.Step, Quality: trace.Reconstructed, ServiceQuality: trace.Assumed,
	})
	if err != nil {
		return summary, err
	}
	for _, a := range arrivals {
		if err := w.Arrive(a); err != nil {
			return summary, err
		}
	}
	return summary, nil
}
