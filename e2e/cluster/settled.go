package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/childprocess"
)

// WaitSettled returns when KEDA's operator has no ScaledObject left to reconcile: after many of them were made it still goes
// through all of them again when they are ready.
func (c *Cluster) WaitSettled(ctx context.Context, within time.Duration) error {
	client := &http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	return childprocess.Poll(ctx, "KEDA's operator to settle", within, time.Second, func(ctx context.Context) error {
		n, err := c.reconciling(ctx, client)
		if err == nil && n > 0 {
			err = fmt.Errorf("it has %d ScaledObjects to reconcile", n)
		}
		return err
	})
}

// reconciling is how many ScaledObjects wait for the operator or are at work in it, by its metrics.
func (c *Cluster) reconciling(ctx context.Context, client *http.Client) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.metrics, http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("make request: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read the metrics of KEDA's operator: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	sum, found := 0, 0
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		line := lines.Text()
		name, _, _ := strings.Cut(line, "{")
		if name != "workqueue_depth" && name != "controller_runtime_active_workers" || !strings.Contains(line, `controller="scaledobject"`) {
			continue
		}
		n, err := strconv.Atoi(line[strings.LastIndex(line, " ")+1:])
		if err != nil {
			return 0, fmt.Errorf("read the metrics of KEDA's operator: %w", err)
		}
		sum, found = sum+n, found+1
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read the metrics of KEDA's operator: %w", err)
	}
	if found < 2 {
		return 0, errors.New("read the metrics of KEDA's operator: the number of objects to reconcile is missing")
	}
	return sum, nil
}
