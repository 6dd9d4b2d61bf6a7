package trigger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// ErrDenied is a connection that the ScaledObject's namespace may not use, or that does not
// exist: a tenant cannot distinguish the two.
var ErrDenied = errors.New("not available")

// A Fault is one error in a trigger's metadata.
type Fault struct {
	// Key is the metadata key; empty if the fault is not of one key.
	Key string
	// Text says which value is wrong and what is allowed.
	Text string
}

// A MetadataError lists all things that are wrong with a trigger's metadata.
type MetadataError []Fault

func (f MetadataError) Error() string {
	texts := make([]string, len(f))
	for i, fault := range f {
		texts[i] = fault.Text
		if fault.Key != "" {
			texts[i] = fault.Key + ": " + fault.Text
		}
	}
	if len(f) > maxFaults {
		texts = append(texts[:maxFaults], "and more")
	}
	return strings.Join(texts, "; ")
}

// add notes a fault. Of those beyond maxFaults one is kept, which stands for all.
func (f *MetadataError) add(key, format string, args ...any) {
	if len(*f) > maxFaults {
		return
	}
	*f = append(*f, Fault{Key: key, Text: backlog.Redact(fmt.Sprintf(format, args...))})
}
