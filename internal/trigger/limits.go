package trigger

import "fmt"

// The limits of a trigger's metadata. Parsing takes time and memory that grow at most linearly
// with these, whatever a tenant writes.
const (
	// maxMetadata is the length of all keys and values together, in bytes. A trigger of
	// 1,000 queues takes some 30 KiB.
	maxMetadata = 64 << 10
	// maxKeys is the number of keys.
	maxKeys = 100
	// maxFaults is how many faults are reported at once.
	maxFaults = 10
	// maxWeights is the number of weights: each decision looks for the weight of each queue.
	maxWeights = 100
)

// checkSize reports metadata that is too large to be parsed.
func checkSize(metadata map[string]string) error {
	size := 0
	for key, value := range metadata {
		size += len(key) + len(value)
	}
	switch {
	case len(metadata) > maxKeys:
		return MetadataError{{Text: fmt.Sprintf("the metadata has %d keys, want at most %d", len(metadata), maxKeys)}}
	case size > maxMetadata:
		return MetadataError{{Text: fmt.Sprintf("the metadata is %d bytes long, want at most %d", size, maxMetadata)}}
	default:
		return nil
	}
}
