package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestLag(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at       position
		earliest int64
		latest   int64
	}{
		"at the end":                {position{10, 0, 10, 10}, 0, 0},
		"behind":                    {position{4, 0, 10, 10}, 6, 6},
		"behind what is deleted":    {position{10, 40, 100, 100}, 60, 60},
		"no offset":                 {position{noOffset, 3, 10, 10}, 7, 0},
		"beyond the end":            {position{50, 3, 10, 10}, 7, 0},
		"beyond what is stable":     {position{8, 0, 5, 10}, 0, 0},
		"all deleted":               {position{2, 10, 10, 10}, 0, 0},
		"empty":                     {position{noOffset, 0, 0, 0}, 0, 0},
		"deleted beyond the stable": {position{noOffset, 8, 5, 10}, 0, 0},
	} {
		if got := c.at.lag(missingEarliest); got != c.earliest {
			t.Errorf("%s: lag %d with earliest, want %d", name, got, c.earliest)
		}
		if got := c.at.lag(missingLatest); got != c.latest {
			t.Errorf("%s: lag %d with latest, want %d", name, got, c.latest)
		}
	}
}

func TestArrival(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var h history
	if age := h.arrival(5); age.Kind != backlog.AgeUnknown {
		t.Errorf("without a read the age is %+v", age)
	}
	h.add(100, noon.Add(-time.Minute))
	h.add(100, noon)
	h.add(200, noon.Add(10*time.Second))
	for offset, want := range map[int64]backlog.Age{
		50:  {Since: noon.Add(-time.Minute), Kind: backlog.AgeLowerBound},
		100: {Since: noon, Kind: backlog.AgeInterpolated},
		150: {Since: noon.Add(5 * time.Second), Kind: backlog.AgeInterpolated},
		200: {},
	} {
		if got := h.arrival(offset); got != want {
			t.Errorf("offset %d arrived %+v, want %+v", offset, got, want)
		}
	}
	// However long it is kept, it does not grow, and its first mark is not lost.
	for i := range 10_000 {
		h.add(int64(300+i), noon.Add(time.Duration(20+i)*time.Second))
	}
	if len(h.marks) > historySize || h.marks[0].end != 100 {
		t.Errorf("after 10,000 ends there are %d marks, the first at %d", len(h.marks), h.marks[0].end)
	}
	h.add(7, noon.Add(24*time.Hour))
	if len(h.marks) != 1 {
		t.Errorf("after a loss there are %d marks, want 1", len(h.marks))
	}
}

// TestProgress: a group that commits now and then is slow and not stuck, and one that has nothing to do
// is neither.
func TestProgress(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	step := 20 * time.Second
	var slow, stuck, idle progress
	for i := range 10 {
		now = now.Add(step)
		slow.note(position{committed: int64(i / 2), end: int64(100 + i)}, 100, now)
		stuck.note(position{committed: 5, end: int64(100 + i)}, int64(95+i), now)
		idle.note(position{committed: 100, end: 100}, 0, now)
	}
	if slow.isStuck(now) || idle.isStuck(now) || !stuck.isStuck(now) {
		t.Errorf("slow %t, idle %t, stuck %t", slow.isStuck(now), idle.isStuck(now), stuck.isStuck(now))
	}
	if stuck.isQuiet(now) || !idle.isQuiet(now) {
		t.Errorf("a partition that is written to is quiet: %t; one that rests: %t", stuck.isQuiet(now), idle.isQuiet(now))
	}
	// Work that came just now waits since then.
	idle.note(position{committed: 100, end: 101}, 1, now)
	if idle.isStuck(now.Add(step)) {
		t.Error("a group is stuck 20 s after its first message")
	}
	m := &measurement{job: &job{spec: &spec{missing: missingEarliest}}, topic: &topic{}, busy: []int{1, 4}, stuck: []int{4}}
	var r backlog.Reading
	m.complete(&r)
	if !strings.Contains(r.Warning, "not advanced in partition 4") || r.MaxUseful != 2 {
		t.Errorf("a group that is stuck in one of two partitions reads as %+v", r)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	secret := backlog.NewSecret("hunter2")
	for name, c := range map[string]struct {
		settings map[string]any
		want     string
	}{
		"none":               {map[string]any{"addresses": []string{"a:1"}}, ""},
		"no address":         {map[string]any{}, "addresses: at least one is needed"},
		"plain":              {map[string]any{"addresses": []string{"a:1"}, "saslMechanism": "PLAIN", "username": "u", "password": secret}, ""},
		"without a password": {map[string]any{"addresses": []string{"a:1"}, "saslMechanism": "PLAIN", "username": "u"}, "saslMechanism: PLAIN needs username and password"},
		"without mechanism":  {map[string]any{"addresses": []string{"a:1"}, "username": "u", "password": secret}, "username, password: only with saslMechanism"},
		"token":              {map[string]any{"addresses": []string{"a:1"}, "token": secret}, "token: only with saslMechanism OAUTHBEARER"},
		"without a token":    {map[string]any{"addresses": []string{"a:1"}, "saslMechanism": "OAUTHBEARER"}, "OAUTHBEARER needs token"},
		"tls":                {map[string]any{"addresses": []string{"a:1"}, "tlsServerName": "b"}, "tls: must be true"},
		"timeout":            {map[string]any{"addresses": []string{"a:1"}, "answerTimeout": time.Millisecond}, "answerTimeout: want from 100ms to 15m"},
	} {
		err := check(backlog.NewSettings(c.settings))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		params map[string]string
		want   string
	}{
		{map[string]string{"consumerGroup": "g"}, ""},
		{map[string]string{"shareGroup": "g", "missingOffset": "earliest", "isolationLevel": "readUncommitted"}, ""},
		{nil, "consumerGroup: required, or shareGroup in its place"},
		{map[string]string{"consumerGroup": "g", "shareGroup": "g"}, "exclude each other"},
		{map[string]string{"shareGroup": "g", "missingOffset": "latest"}, "missingOffset: only with consumerGroup"},
		{map[string]string{"shareGroup": "g", "isolationLevel": "readCommitted"}, "isolationLevel: only with consumerGroup"},
		{map[string]string{"consumerGroup": strings.Repeat("g", 1<<15)}, "want a name of at most 32767 bytes"},
	} {
		err := checkQuery(backlog.Query{Layout: layoutTopic, Queue: "orders", Params: backlog.NewParams(c.params)})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: %v, want %q", c.params, err, c.want)
		}
	}
}

func TestFinishedMessages(t *testing.T) {
	t.Parallel()
	layout := Engine().Layouts[0]
	for group, counted := range map[string]bool{paramConsumerGroup: true, paramShareGroup: false} {
		err := layout.CountsFinished(backlog.Query{Layout: layoutTopic, Queue: "orders", Params: backlog.NewParams(map[string]string{group: "g"})})
		if (err == nil) != counted {
			t.Errorf("the finished messages of a %s: %v", group, err)
		}
	}
}

func TestPatternsMean(t *testing.T) {
	t.Parallel()
	s := &spec{names: []string{"orders-a"}, patterns: []string{"orders-*", "__audit*"}}
	s.match([]string{"__audit-1", "__consumer_offsets", "orders-a", "orders-b", "other"})
	if got := strings.Join(s.matched, " "); got != "__audit-1 orders-b" {
		t.Errorf("matched %q", got)
	}
}
