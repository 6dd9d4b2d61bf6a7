package hpa

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// epoch is when every test begins.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// backlog is a metric with an AverageValue target.
func backlog(value, target float64) Metric {
	return Metric{Name: "backlog", Value: Thousandths(value), Target: Thousandths(target)}
}

// course syncs every 15 s with the given metric, lets the workload follow at once,
// and returns the replica counts after each.
func course(a *Autoscaler, replicas int32, metrics ...Metric) []int32 {
	var counts []int32
	for i, m := range metrics {
		replicas = a.Sync(epoch.Add(time.Duration(i)*SyncPeriod), Steady(replicas), []Metric{m}).Replicas
		counts = append(counts, replicas)
	}
	return counts
}

// repeat is the same metric n times.
func repeat(n int, m Metric) []Metric {
	metrics := make([]Metric, n)
	for i := range metrics {
		metrics[i] = m
	}
	return metrics
}

func TestThousandths(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		value float64
		want  Milli
	}{
		{"zero", 0, 0},
		{"whole", 7, 7000},
		{"three decimals", 2.5, 2500},
		{"too small", 0.0004, 0},
		{"just enough", 0.0006, 1},
		{"negative", -1, 0},
		{"no number", math.NaN(), 0},
		{"infinite", math.Inf(1), 0},
		{"largest float", math.MaxFloat64, math.MaxInt64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Thousandths(tc.value); got != tc.want {
				t.Errorf("Thousandths(%v) = %d, want %d", tc.value, got, tc.want)
			}
		})
	}
}

func TestSyncOnce(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for _, tc := range []struct {
		name    string
		spec    Spec
		scale   Scale
		metrics []Metric
		want    Recommendation
	}{
		{
			"drain time of the design page",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(1800, 120)},
			Recommendation{Replicas: 15, Wanted: 15, Metric: "backlog"},
		},
		{
			"within ten per cent above",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(55, 5)},
			Recommendation{Replicas: 10, Wanted: 10, Metric: "backlog"},
		},
		{
			"just more than ten per cent above",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(55.001, 5)},
			Recommendation{Replicas: 12, Wanted: 12, Metric: "backlog"},
		},
		{
			"within ten per cent below",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(45, 5)},
			Recommendation{Replicas: 10, Wanted: 10, Metric: "backlog"},
		},
		{
			"ratio counts those that exist",
			Spec{Min: 1, Max: 100},
			Scale{Spec: 10, Status: 4, Ready: 4},
			[]Metric{backlog(50, 5)},
			Recommendation{Replicas: 10, Wanted: 10, Metric: "backlog"},
		},
		{
			"none exists yet",
			Spec{Min: 1, Max: 100},
			Scale{Spec: 1},
			[]Metric{backlog(0, 5)},
			Recommendation{Replicas: 1, Metric: "backlog", Reason: Stabilized},
		},
		{
			"at zero replicas",
			Spec{Min: 1, Max: 100},
			Steady(0),
			[]Metric{backlog(500, 5)},
			Recommendation{Reason: Disabled},
		},
		{
			"no more than twice",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(500, 5)},
			Recommendation{Replicas: 20, Wanted: 100, Metric: "backlog", Reason: UpLimit},
		},
		{
			"at least to four",
			Spec{Min: 1, Max: 100},
			Steady(1),
			[]Metric{backlog(500, 5)},
			Recommendation{Replicas: 4, Wanted: 100, Metric: "backlog", Reason: UpLimit},
		},
		{
			"no more than the maximum",
			Spec{Min: 1, Max: 12},
			Steady(10),
			[]Metric{backlog(500, 5)},
			Recommendation{Replicas: 12, Wanted: 100, Metric: "backlog", Reason: TooMany},
		},
		{
			"doubling stops at the largest number",
			Spec{Min: 1, Max: math.MaxInt32},
			Steady(math.MaxInt32 - 1),
			[]Metric{backlog(math.MaxFloat64, 0.001)},
			Recommendation{Replicas: math.MaxInt32, Wanted: math.MaxInt32, Metric: "backlog"},
		},
		{
			"above the maximum",
			Spec{Min: 1, Max: 12},
			Steady(20),
			[]Metric{{Name: "backlog", Err: gone}},
			Recommendation{Replicas: 12, Wanted: 12, Reason: AboveMax},
		},
		{
			"below the minimum",
			Spec{Min: 3, Max: 12},
			Steady(2),
			[]Metric{{Name: "backlog", Err: gone}},
			Recommendation{Replicas: 3, Wanted: 3, Reason: BelowMin},
		},
		{
			"the highest metric counts",
			Spec{Min: 1, Max: 100},
			Steady(10),
			[]Metric{backlog(60, 5), {Name: "other", Value: Thousandths(14), Target: Thousandths(1)}, {Name: "low", Target: 1}},
			Recommendation{Replicas: 14, Wanted: 14, Metric: "other"},
		},
		{
			"a value is a ratio of the ready ones",
			Spec{Min: 1, Max: 100},
			Scale{Spec: 10, Status: 10, Ready: 8},
			[]Metric{{Name: "age", Type: Value, Value: Thousandths(30), Target: Thousandths(20)}},
			Recommendation{Replicas: 12, Wanted: 12, Metric: "age"},
		},
		{
			"a value within the tolerance",
			Spec{Min: 1, Max: 100},
			Scale{Spec: 10, Status: 10, Ready: 8},
			[]Metric{{Name: "age", Type: Value, Value: Thousandths(21), Target: Thousandths(20)}},
			Recommendation{Replicas: 10, Wanted: 10, Metric: "age"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := New(tc.spec).Sync(epoch, tc.scale, tc.metrics)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Sync (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSyncMissingMetric(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	missing := Metric{Name: "missing", Err: gone}
	for _, tc := range []struct {
		name    string
		metrics []Metric
		want    int32
		reason  Reason
	}{
		{"alone", []Metric{missing}, 10, MetricMissing},
		{"next to one that wants fewer", []Metric{backlog(5, 5), missing}, 10, MetricMissing},
		{"next to one that wants more", []Metric{missing, backlog(60, 5)}, 12, AsWanted},
		{"no metric at all", nil, 10, MetricMissing},
		{"a target of zero", []Metric{{Name: "backlog", Value: 1}}, 10, MetricMissing},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// Ten minutes after the last sync no window holds the replicas any more.
			a := New(Spec{Min: 1, Max: 100})
			a.Sync(epoch, Steady(10), []Metric{backlog(50, 5)})
			got := a.Sync(epoch.Add(10*time.Minute), Steady(10), tc.metrics)
			if got.Replicas != tc.want || got.Reason != tc.reason || got.Err == nil {
				t.Errorf("Sync = %+v, want %d replicas, %q and an error", got, tc.want, tc.reason)
			}
		})
	}
}

func TestCourse(t *testing.T) {
	t.Parallel()
	steps := func(r Rules, selected Select, policies ...Policy) Rules {
		r.Select, r.Policies = selected, policies
		return r
	}
	defaults := &Behavior{Up: DefaultUp(), Down: DefaultDown()}
	for _, tc := range []struct {
		name     string
		behavior *Behavior
		from     int32
		metrics  []Metric
		want     []int32
	}{
		{
			"up without behavior", nil, 3, repeat(5, backlog(40, 1)),
			[]int32{6, 12, 24, 40, 40},
		},
		{
			"up with the default behavior", defaults, 1, repeat(7, backlog(100, 1)),
			[]int32{5, 10, 20, 40, 80, 100, 100},
		},
		{
			"down waits five minutes without behavior", nil, 10,
			append(repeat(1, backlog(10, 1)), repeat(22, backlog(2, 1))...),
			// The recommendation for 10 came at 0 s; it still counts at 300 s, and not at 315 s.
			[]int32{10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 2, 2},
		},
		{
			"down waits five minutes with behavior", defaults, 10,
			append(repeat(1, backlog(10, 1)), repeat(21, backlog(2, 1))...),
			// As before, but a recommendation that is exactly as old as the window does not count.
			[]int32{10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 2, 2},
		},
		{
			"up one pod a minute", &Behavior{Up: steps(DefaultUp(), SelectMax, Policy{Pods: 1, Period: time.Minute}), Down: DefaultDown()},
			1, repeat(9, backlog(100, 1)),
			[]int32{2, 2, 2, 2, 3, 3, 3, 3, 4},
		},
		{
			"the smaller of two policies", &Behavior{Up: steps(DefaultUp(), SelectMin,
				Policy{Pods: 4, Period: SyncPeriod}, Policy{Percent: 100, Period: SyncPeriod}), Down: DefaultDown()},
			1, repeat(5, backlog(100, 1)),
			[]int32{2, 4, 8, 12, 16},
		},
		{
			"up is disabled", &Behavior{Up: steps(DefaultUp(), SelectDisabled), Down: DefaultDown()},
			3, repeat(2, backlog(100, 1)),
			[]int32{3, 3},
		},
		{
			"up waits for the lowest recommendation", &Behavior{Up: Rules{
				Stabilization: 30 * time.Second, Tolerance: DefaultTolerance, Policies: DefaultUp().Policies,
			}, Down: DefaultDown()},
			2,
			[]Metric{backlog(6, 1), backlog(5, 1), backlog(6, 1), backlog(6, 1), backlog(6, 1)},
			// The controller began with a recommendation for 2. Then 5 is the lowest of 30 s.
			[]int32{2, 2, 5, 6, 6},
		},
		{
			"down ten per cent at a time", &Behavior{Up: DefaultUp(), Down: Rules{
				Tolerance: DefaultTolerance, Policies: []Policy{{Percent: 10, Period: SyncPeriod}},
			}},
			20, repeat(5, backlog(1, 1)),
			[]int32{18, 16, 14, 12, 10},
		},
		{
			"down the least of two policies", &Behavior{Up: DefaultUp(), Down: Rules{
				Tolerance: DefaultTolerance, Select: SelectMin,
				Policies: []Policy{{Percent: 50, Period: SyncPeriod}, {Pods: 2, Period: SyncPeriod}},
			}},
			20, repeat(3, backlog(1, 1)),
			[]int32{18, 16, 14},
		},
		{
			"up counts what went down in its period", &Behavior{
				Up:   steps(DefaultUp(), SelectMax, Policy{Pods: 2, Period: 2 * time.Minute}),
				Down: Rules{Tolerance: DefaultTolerance, Policies: []Policy{{Pods: 5, Period: SyncPeriod}}},
			},
			20,
			[]Metric{backlog(1, 1), backlog(10, 1), backlog(10, 1), backlog(10, 1), backlog(1, 1), backlog(40, 1)},
			// The third change downward takes the place of the second, which the rules for
			// the way down no longer cover, so 5 + 5 + 5 was the count two minutes ago.
			[]int32{15, 10, 10, 10, 5, 17},
		},
		{
			"down is disabled", &Behavior{Up: DefaultUp(), Down: Rules{Tolerance: DefaultTolerance, Select: SelectDisabled}},
			20, repeat(3, backlog(1, 1)),
			[]int32{20, 20, 20},
		},
		{
			"no tolerance on the way up", &Behavior{Up: Rules{Policies: DefaultUp().Policies}, Down: DefaultDown()},
			10, repeat(1, backlog(10.001, 1)),
			[]int32{11},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := course(New(Spec{Min: 1, Max: 100, Behavior: tc.behavior}), tc.from, tc.metrics...)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("replicas (-want +got):\n%s", diff)
			}
		})
	}
}
