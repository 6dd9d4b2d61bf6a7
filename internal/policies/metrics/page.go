package metrics

import (
	"cmp"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/policies"
)

// maxPolicies is the number of policies with series. Each has at most 92: 7, two for each of 16
// signals, one for each of 32 windows and of 21 reasons; 20 are usual. A series takes about a
// kilobyte while the page is built.
const maxPolicies = 2000

// onPage returns the policies that a page reports, and the number of omitted ones by namespace.
// The first policies of each namespace come first, so that no namespace is omitted because others
// have many. keys are in order.
func onPage(keys []policies.Key, most int) (shown []policies.Key, omitted map[string]int) {
	omitted = map[string]int{}
	if len(keys) <= most {
		return keys, omitted
	}
	ranks, of := make(map[policies.Key]int, len(keys)), map[string]int{}
	for _, key := range keys {
		ranks[key] = of[key.Namespace]
		of[key.Namespace]++
	}
	shown = slices.Clone(keys)
	slices.SortStableFunc(shown, func(a, b policies.Key) int { return cmp.Compare(ranks[a], ranks[b]) })
	for _, key := range shown[most:] {
		omitted[key.Namespace]++
	}
	return shown[:most], omitted
}
