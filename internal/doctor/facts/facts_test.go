package facts_test

import (
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// slice returns an EndpointSlice of the Service shop/scaler with endpoints, whose condition "ready" is each of
// ready.
func slice(name, service, family string, ready ...any) object.Object {
	var endpoints []any
	for _, r := range ready {
		conditions := map[string]any{}
		if r != nil {
			conditions["ready"] = r
		}
		endpoints = append(endpoints, map[string]any{"conditions": conditions})
	}
	return object.Object{Kind: object.EndpointSlices, Fields: map[string]any{
		"metadata":    map[string]any{"namespace": "shop", "name": name, "labels": map[string]any{"kubernetes.io/service-name": service}},
		"addressType": family, "endpoints": endpoints,
	}}
}

// TestReadyEndpoints: an endpoint is ready unless it says otherwise, and those of two families are the same
// pods.
func TestReadyEndpoints(t *testing.T) {
	t.Parallel()
	service := object.Named(object.Services, "shop", "scaler")
	for _, tc := range []struct {
		name   string
		change func(f *facts.Facts)
		want   int
		known  bool
	}{
		{"none", func(*facts.Facts) {}, 0, true},
		{"ready, unready and unsaid", func(f *facts.Facts) { f.Objects = append(f.Objects, slice("a", "scaler", "IPv4", true, false, nil)) }, 2, true},
		{"two slices", func(f *facts.Facts) {
			f.Objects = append(f.Objects, slice("a", "scaler", "IPv4", true), slice("b", "scaler", "IPv4", true))
		}, 2, true},
		{"two families", func(f *facts.Facts) {
			f.Objects = append(f.Objects, slice("a", "scaler", "IPv4", true, true), slice("b", "scaler", "IPv6", true, true))
		}, 2, true},
		{"another Service", func(f *facts.Facts) { f.Objects = append(f.Objects, slice("a", "other", "IPv4", true)) }, 0, true},
		{"no right", func(f *facts.Facts) { f.Unread = map[object.Kind]string{object.EndpointSlices: "needs the right"} }, 0, false},
		{"manifests", func(f *facts.Facts) { f.Online = false }, 0, false},
	} {
		f := facts.Facts{Online: true}
		tc.change(&f)
		if got, known := facts.NewView(&f).ReadyEndpoints(service); got != tc.want || known != tc.known {
			t.Errorf("%s: %d, %v, want %d, %v", tc.name, got, known, tc.want, tc.known)
		}
	}
}

// TestJobLength: what an annotation says counts more than what was measured, and the longer of the others
// counts.
func TestJobLength(t *testing.T) {
	t.Parallel()
	annotated := map[string]any{facts.DurationAnnotation: "7s"}
	for _, tc := range []struct {
		name        string
		annotations map[string]any
		scaler      *facts.Scaler
		want        string
	}{
		{"nothing known", nil, nil, "0s"},
		{"no scaler", annotated, nil, "7s"},
		{"measured", nil, &facts.Scaler{Learned: map[string]facts.Throughput{"shop/mails": {Signal: "mails", PerSecond: 0.25}}}, "4s"},
		{"measured and stated", annotated, &facts.Scaler{Learned: map[string]facts.Throughput{"shop/mails": {Signal: "mails", PerSecond: 0.25}}}, "7s"},
		{"of another policy", nil, &facts.Scaler{Learned: map[string]facts.Throughput{"bank/mails": {Signal: "mails", PerSecond: 0.25}}}, "0s"},
	} {
		o := object.Object{Kind: object.ScaledObjects, Fields: map[string]any{
			"metadata": map[string]any{"namespace": "shop", "name": "mails", "annotations": tc.annotations},
			"spec": map[string]any{"triggers": []any{map[string]any{
				"type": "external-push", "metadata": map[string]any{"scalerAddress": "backlog-scaler.x.svc:9090", "policy": "mails"},
			}}},
		}}
		v := facts.NewView(&facts.Facts{Objects: []object.Object{o}, Scaler: tc.scaler})
		if got := v.JobLength(v.Scaled[0]); got.String() != tc.want {
			t.Errorf("%s: %s (%s), want %s", tc.name, got, got.Source, tc.want)
		}
	}
}
