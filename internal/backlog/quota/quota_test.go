package quota_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/quota"
)

// TestQuota: several goroutines together get no more than a namespace may have, another namespace has
// room of its own, and what is released can be had again.
func TestQuota(t *testing.T) {
	t.Parallel()
	q := quota.New()
	const readers = 4
	granted := make([][]string, readers)
	var reading sync.WaitGroup
	for i := range readers {
		reading.Go(func() {
			for n := range quota.PerNamespace {
				if name := fmt.Sprintf("%d:%d", i, n); q.Reserve("shop", name) {
					granted[i] = append(granted[i], name)
				}
			}
		})
	}
	reading.Wait()
	sum := 0
	for _, names := range granted {
		sum += len(names)
	}
	if sum != quota.PerNamespace || q.MayFit("shop", []string{"one"}) {
		t.Errorf("%d queues are reserved, want %d and room for no other", sum, quota.PerNamespace)
	}
	if !q.Reserve("bank", "one") {
		t.Error("another namespace has no room")
	}
	for _, names := range granted {
		q.Release("shop", names...)
	}
	if all := make([]string, quota.PerNamespace); !q.MayFit("shop", all) {
		t.Error("what was released is not free")
	}
	long := strings.Repeat("x", 1<<20)
	for n := range 10 {
		if fits := q.Reserve("shop", long); fits != (n < 4) {
			t.Errorf("long name %d is reserved: %t", n, fits)
		}
	}
	if err := quota.Error("shop"); !errors.Is(err, backlog.ErrExhausted) || !strings.Contains(err.Error(), `"shop"`) {
		t.Errorf("the error is %v", err)
	}
}
