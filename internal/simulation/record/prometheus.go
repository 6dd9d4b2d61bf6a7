package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/simulation/trace"
)

// A RangeQuery is a question for Prometheus.
type RangeQuery struct {
	// URL is the address of the API, such as http://prometheus:9090.
	URL string
	// Query returns messages per second, as one series.
	Query string
	// From and To are its time, and Step is the time between two values.
	From, To time.Time
	Step     time.Duration
}

const (
	// maxPoints is the number of values of one request: Prometheus returns at most 11,000.
	maxPoints = 10_000
	// maxAnswer bounds an answer, in bytes.
	maxAnswer = 16 << 20
)

// Prometheus writes the trace of a rate that Prometheus has stored. What it does not have is a gap, and
// no messages.
func Prometheus(ctx context.Context, client *http.Client, out io.Writer, q RangeQuery) (Summary, error) {
	summary := Summary{Quality: trace.Reconstructed}
	w, err := trace.NewWriter(out, trace.Header{
		Start: q.From, End: q.To.Sub(q.From), Unit: "messages", Source: "Prometheus", Resolution: q.Step, Quality: trace.Reconstructed, ServiceQuality: trace.Assumed,
	})
	if err != nil {
		return summary, err
	}
	rest := 0.0
	next := q.From.Add(q.Step)
	for from := q.From.Add(q.Step); !from.After(q.To); from = from.Add(maxPoints * q.Step) {
		to := from.Add((maxPoints - 1) * q.Step)
		if to.After(q.To) {
			to = q.To
		}
		values, err := q.ask(ctx, client, from, to)
		if err != nil {
			return summary, err
		}
		for _, v := range values {
			if v.at.After(next) {
				summary.Gaps++
			}
			next = v.at.Add(q.Step)
			// A value at a time is the rate of the step before it. What is left of a message is carried on.
			exact := max(v.rate, 0)*q.Step.Seconds() + rest
			count := int64(exact)
			rest = exact - float64(count)
			if count == 0 {
				continue
			}
			if summary.Messages += count; summary.Messages > trace.MaxMessages {
				return summary, fmt.Errorf("more than %d messages, want a shorter time", trace.MaxMessages)
			}
			if err := w.Arrive(trace.Arrival{At: v.at.Sub(q.From) - q.Step, Over: q.Step, Count: count}); err != nil {
				return summary, err
			}
		}
	}
	if !next.After(q.To) {
		summary.Gaps++
	}
	if summary.Messages == 0 {
		return summary, errors.New("ask Prometheus: the query has no messages in this time; want a rate in messages per second, such as sum(rate(orders_total[1m]))")
	}
	return summary, nil
}

// A rated is a rate at a time.
type rated struct {
	at   time.Time
	rate float64
}

// An answered is what Prometheus answers:
// https://prometheus.io/docs/prometheus/latest/querying/api/#range-queries
type answered struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string `json:"resultType"`
		Result     []struct {
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	} `json:"data"`
}

// ask sends one request.
func (q *RangeQuery) ask(ctx context.Context, client *http.Client, from, to time.Time) ([]rated, error) {
	seconds := func(d float64) string { return strconv.FormatFloat(d, 'f', 3, 64) }
	form := url.Values{
		"query": {q.Query}, "step": {seconds(q.Step.Seconds())},
		"start": {seconds(float64(from.UnixMilli()) / 1000)}, "end": {seconds(float64(to.UnixMilli()) / 1000)},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(q.URL, "/")+"/api/v1/query_range", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", withoutURL(err))
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask Prometheus: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("ask Prometheus: %w", err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("ask Prometheus: the answer has more than %d bytes", maxAnswer)
	}
	var a answered
	if err := json.Unmarshal(body, &a); err != nil || a.Status == "" {
		return nil, fmt.Errorf("ask Prometheus: status %d without an answer of its API; want the address of Prometheus, such as http://prometheus:9090", response.StatusCode)
	}
	if a.Status != "success" {
		return nil, fmt.Errorf("ask Prometheus: %s", backlog.Line(a.Error))
	}
	switch len(a.Data.Result) {
	case 0:
		return nil, nil
	case 1:
		return a.rates()
	default:
		return nil, fmt.Errorf("ask Prometheus: %d series, want one; put sum(...) around the query", len(a.Data.Result))
	}
}

// withoutURL returns an error without the address, which may have a password.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// rates returns the values of the only series. What is no number is left out.
func (a *answered) rates() ([]rated, error) {
	var rates []rated
	for _, pair := range a.Data.Result[0].Values {
		var at float64
		var text string
		if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &text)); err != nil {
			return nil, fmt.Errorf("ask Prometheus: read a value: %w", err)
		}
		rate, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("ask Prometheus: read a value: %w", err)
		}
		if math.IsNaN(rate) || math.IsInf(rate, 0) {
			continue
		}
		rates = append(rates, rated{time.UnixMilli(int64(math.Round(at * 1000))), rate})
	}
	return rates, nil
}
