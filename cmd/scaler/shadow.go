package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/shadow"
)

// The bounds of a comparison.
const (
	// shadowInterval is the time between two rounds.
	shadowInterval = time.Second
	// scrapeTimeout bounds one page of metrics, and maxPage its size: that of KEDA has some 2 KiB for each trigger.
	scrapeTimeout = 5 * time.Second
	maxPage       = 64 << 20
)

// compare reads the values of KEDA and of the scaler side by side, and prints where they differ. The error is nil
// if no value differs that the report did not announce.
func (c migrateCommand) compare(ctx context.Context, triggers []shadow.Trigger, stdout io.Writer) error {
	if len(triggers) == 0 {
		return errors.New("no trigger to compare")
	}
	comparison := shadow.New(triggers, int(time.Duration(c.Behind)/shadowInterval))
	ticker := time.NewTicker(shadowInterval)
	defer ticker.Stop()
	end := time.After(time.Duration(c.For))
	for more := true; more; {
		if err := round(ctx, comparison, c.KEDAMetrics, c.ScalerMetrics); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-end:
			more = false
		case <-ctx.Done(): // what was seen until then is printed
			more = false
		}
	}
	if err := comparison.Print(stdout); err != nil {
		return err
	}
	if differ, never := comparison.Unexplained(); differ+never > 0 {
		return partialError(fmt.Sprintf("%d triggers differ in a way that the report did not announce, and %d had no values", differ, never))
	}
	return nil
}

// round reads both pages once.
func round(ctx context.Context, comparison *shadow.Comparison, keda, scaler string) error {
	theirs, err := scrape(ctx, keda)
	if err != nil {
		return fmt.Errorf("read the metrics of KEDA: %w", err)
	}
	ours, err := scrape(ctx, scaler)
	if err != nil {
		return fmt.Errorf("read the metrics of the scaler: %w", err)
	}
	comparison.Add(theirs, ours)
	return nil
}

// scrape reads a page of metrics.
func scrape(ctx context.Context, url string) (page shadow.Page, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return shadow.Page{}, err
	}
	client := http.Client{Timeout: scrapeTimeout}
	response, err := client.Do(request)
	if err != nil {
		return shadow.Page{}, err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return shadow.Page{}, fmt.Errorf("%s answered %s", url, response.Status)
	}
	return shadow.Parse(io.LimitReader(response.Body, maxPage))
}
