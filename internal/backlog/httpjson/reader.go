package httpjson

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/httpapi"
)

// A reader asks the server of one connection. Several goroutines may use it.
type reader struct {
	client *httpapi.Client
	// decoding is a semaphore: one answer is in memory as values at a time, because these take
	// many times the memory of the text.
	decoding chan struct{}
	// answered reports whether the server has answered; each read sets it.
	answered atomic.Bool
}

// server returns the name of the server, which HTTP does not reveal for sure.
func (r *reader) server() string {
	if r.answered.Load() {
		return "http"
	}
	return ""
}

// read answers one query.
func (r *reader) read(ctx context.Context, q backlog.Query) (backlog.Reading, error) {
	if q.Layout != layoutPath {
		return backlog.Reading{}, fmt.Errorf("%w: no layout %q", backlog.ErrMismatch, q.Layout)
	}
	request, err := parsePath(q.Queue)
	if err != nil {
		return backlog.Reading{}, fmt.Errorf("%w: %s %w", backlog.ErrMismatch, layoutPath, err)
	}
	value, err := parseValue(q.Params.Get(paramValue))
	if err != nil {
		return backlog.Reading{}, fmt.Errorf("%w: %s %w", backlog.ErrMismatch, paramValue, err)
	}
	response, err := r.client.Do(ctx, request)
	at := time.Now()
	if err != nil {
		return backlog.Reading{}, err
	}
	r.answered.Store(true)
	if response.Status != http.StatusOK {
		return backlog.Reading{}, response.Error(backlog.ErrMismatch)
	}
	measured, err := r.find(ctx, value, response.Body)
	if err != nil {
		return backlog.Reading{}, err
	}
	return backlog.Reading{At: at, Measured: measured}, nil
}

// find returns the number in a body.
func (r *reader) find(ctx context.Context, value value, body []byte) (backlog.Measurement, error) {
	select {
	case r.decoding <- struct{}{}:
		defer func() { <-r.decoding }()
	case <-ctx.Done():
		return backlog.Measurement{}, fmt.Errorf("%w: %w", backlog.ErrUnavailable, ctx.Err())
	}
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return backlog.Measurement{}, fmt.Errorf("%w: the answer is not valid JSON", backlog.ErrMismatch)
	}
	return value.find(document)
}
