package object

import "slices"

// Includes reports whether labels have all of a selector.
func Includes(labels, selector map[string]string) bool {
	for key, want := range selector {
		if got, found := labels[key]; !found || got != want {
			return false
		}
	}
	return true
}

// Matches reports whether labels match a label selector:
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
func Matches(labels map[string]string, selector Value) bool {
	if !Includes(labels, selector.At("matchLabels").Texts()) {
		return false
	}
	for _, expression := range selector.At("matchExpressions").List() {
		got, has := labels[expression.At("key").Text()]
		among := slices.ContainsFunc(expression.At("values").List(), func(want Value) bool { return want.Text() == got })
		ok := false
		switch expression.At("operator").Text() {
		case "In":
			ok = has && among
		case "NotIn":
			ok = !has || !among
		case "Exists":
			ok = has
		case "DoesNotExist":
			ok = !has
		}
		if !ok {
			return false
		}
	}
	return true
}
