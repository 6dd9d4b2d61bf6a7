package prometheus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

const (
	rangePath = "/api/v1/query_range"
	// rangeTimeout bounds a range query, which reads far more than the query of a trigger. It is half of
	// what Prometheus allows one (--query.timeout).
	rangeTimeout = time.Minute
)

// A source also answers for ranges of time. It implements backlog.Ranger.
type source struct {
	*httpapi.Source

	client *httpapi.Client
}

// Range implements backlog.Ranger. Prometheus returns at most 11,000 values. The label that limits the
// queries of triggers does not count, because who asks has the configuration.
func (s source) Range(ctx context.Context, query string, from, to time.Time, step time.Duration) ([]backlog.Point, error) {
	seconds := func(milliseconds int64) string { return strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64) }
	form := url.Values{
		"query": {query}, "step": {seconds(step.Milliseconds())}, "start": {seconds(from.UnixMilli())}, "end": {seconds(to.UnixMilli())},
		"partial_response": {"false"}, "deny_partial_response": {"1"}, // as for a trigger
	}
	response, err := s.client.Do(ctx, httpapi.Request{
		Method: http.MethodPost, Path: rangePath, ContentType: "application/x-www-form-urlencoded", Body: []byte(form.Encode()),
		ErrorText: errorText, Timeout: rangeTimeout,
	})
	switch {
	case err != nil:
		return nil, err
	case response.Status == http.StatusNotFound:
		return nil, backlog.WithAdvice(response.Error(backlog.ErrMismatch), "url: "+servedUnder(rangePath))
	case response.Status >= http.StatusBadRequest:
		return nil, response.Error(backlog.ErrMismatch)
	}
	return parseRange(response.Body)
}

// parseRange returns the values of an answer.
func parseRange(body []byte) ([]backlog.Point, error) {
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		return nil, fmt.Errorf("%w: the answer is not the JSON of Prometheus", backlog.ErrMismatch)
	}
	switch {
	case a.Status != "success":
		return nil, a.fault()
	case a.Partial:
		return nil, fmt.Errorf("%w: the server says that a part of the series is missing", backlog.ErrPartial)
	case a.Data.ResultType != "matrix":
		return nil, fmt.Errorf("%w: the answer has a result of the type %q, want matrix", backlog.ErrMismatch, shorten(a.Data.ResultType))
	}
	var series []struct {
		Values     [][2]json.RawMessage `json:"values"`
		Histograms json.RawMessage      `json:"histograms"`
	}
	if err := json.Unmarshal(a.Data.Result, &series); err != nil {
		return nil, fmt.Errorf("%w: the answer has no matrix", backlog.ErrMismatch)
	}
	switch {
	case len(series) == 0:
		return nil, nil
	case len(series) > 1:
		return nil, fmt.Errorf("%w: %d series, want one; put sum(...) around the query", backlog.ErrMismatch, len(series))
	case series[0].Histograms != nil && len(series[0].Values) == 0:
		return nil, fmt.Errorf("%w: the query yields histograms, want numbers; apply histogram_count", backlog.ErrMismatch)
	}
	points := make([]backlog.Point, 0, len(series[0].Values))
	for _, pair := range series[0].Values {
		var at float64
		var text string
		if err := errors.Join(json.Unmarshal(pair[0], &at), json.Unmarshal(pair[1], &text)); err != nil {
			return nil, fmt.Errorf("%w: the answer has a value without a time or a number", backlog.ErrMismatch)
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%w: the value %q is not a number", backlog.ErrMismatch, shorten(text))
		}
		if !math.IsNaN(value) && !math.IsInf(value, 0) {
			points = append(points, backlog.Point{At: time.UnixMilli(int64(math.Round(at * 1000))), Value: value})
		}
	}
	return points, nil
}
