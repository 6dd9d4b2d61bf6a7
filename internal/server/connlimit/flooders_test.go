package connlimit

import (
	"strconv"
	"testing"
	"time"
)

func TestFlooders(t *testing.T) {
	t.Parallel()
	var f flooders
	now := time.Now()
	if d := f.pause("192.0.2.1", now); d != 0 {
		t.Errorf("a client that did nothing waits %s", d)
	}
	f.add("192.0.2.1", now)
	if d := f.pause("192.0.2.1", now.Add(floodPause/4)); d != floodPause*3/4 {
		t.Errorf("a client that floods waits %s, want %s", d, floodPause*3/4)
	}
	if d := f.pause("192.0.2.2", now); d != 0 {
		t.Errorf("its neighbour waits %s", d)
	}
	if d := f.pause("192.0.2.1", now.Add(floodPause)); d > 0 || len(f.until) != 0 {
		t.Errorf("after the pause it waits %s, and %d are remembered", d, len(f.until))
	}
	for i := range 2 * maxFlooders {
		f.add(strconv.Itoa(i), now)
	}
	if len(f.until) != maxFlooders {
		t.Errorf("%d clients are remembered, want %d", len(f.until), maxFlooders)
	}
	f.add("192.0.2.1", now.Add(2*floodPause))
	if len(f.until) != 1 {
		t.Errorf("%d clients are remembered after the pause, want one", len(f.until))
	}
}
