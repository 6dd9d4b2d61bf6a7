// Package spelling finds the known name that was most likely meant.
package spelling

import "strings"

// maxWord is the length of the longest word that is compared, in bytes. The cost of a
// comparison is the product of two lengths, and longer words are no slips.
const maxWord = 100

// Nearest returns the known name closest to word by edit distance, ignoring case. It returns ""
// if more than a third of the longer word would have to change, which is no slip. Words of more
// than 100 bytes are never close.
func Nearest(word string, known []string) string {
	best, bestDistance := "", -1
	if len(word) > maxWord {
		return best
	}
	for _, name := range known {
		if longer, shorter := max(len(word), len(name)), min(len(word), len(name)); longer > maxWord || longer-shorter > longer/3 {
			continue
		}
		d := distance(strings.ToLower(word), strings.ToLower(name))
		if d > max(len(word), len(name))/3 {
			continue
		}
		if bestDistance < 0 || d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return best
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours each cost one.
func distance(a, b string) int {
	before, previous, current := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(a); i++ {
		current[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
