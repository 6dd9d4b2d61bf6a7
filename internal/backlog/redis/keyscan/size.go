package keyscan

import "slices"

// keyOverhead is what a key takes in memory besides its name, in bytes.
const keyOverhead = 16

func sizeOfKey(key string) int { return len(key) + keyOverhead }

// sizeOf returns how many bytes keys take.
func sizeOf(keys []string) int {
	size := 0
	for _, key := range keys {
		size += sizeOfKey(key)
	}
	return size
}

// level returns the size to which the largest have to be cut so that the sum of all is at
// most budget. What is smaller keeps its size.
func level(sizes []int, budget int) int {
	sorted := slices.Sorted(slices.Values(sizes))
	for i, size := range sorted {
		if share := budget / (len(sorted) - i); size > share {
			return share
		}
		budget -= size
	}
	return int(^uint(0) >> 1)
}

// cut returns the first keys that take at most so many bytes.
func cut(keys []string, most int) []string {
	size := 0
	for i, key := range keys {
		if size += sizeOfKey(key); size > most {
			return keys[:i]
		}
	}
	return keys
}
