package trigger

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/decision"
)

// maxName leaves room for KEDA's prefix "s99-" within the 63 characters of a
// Kubernetes label value, which the name of an external metric becomes:
// https://github.com/kedacore/keda/blob/v2.21.0/pkg/scalers/scaler.go#L76
const maxName = 59

// metricName derives the name of a trigger's metric. KEDA passes it on as it is,
// so it has to suit a URL path and a label. Where letters had to be changed or
// left out, a hash of the whole keeps different queues apart. What came from the
// environment is not in it, and not in the hash: who reads the HPA could guess it.
func (p *parser) metricName(t Trigger, layout backlog.Layout) string {
	parts := []string{t.Query.Layout, p.nameOf(layout.Name, t.Query.Queue)}
	for _, parameter := range layout.Parameters {
		if value := t.Query.Params.Get(parameter.Name); value != parameter.Default {
			parts = append(parts, p.nameOf(parameter.Name, value))
		}
	}
	if t.Policy.Count != decision.CountAll {
		parts = append(parts, strings.ReplaceAll(t.Policy.Count.String(), ",", "-"))
	}
	whole := strings.Join(parts, "-")
	// More than this is cut off below: a letter has at most four bytes.
	name := strings.Trim(strings.Map(plainRune, whole[:min(len(whole), 4*maxName)]), "-")
	if name == whole && len(name) <= maxName {
		return name
	}
	hash := fnv.New32a()
	var buffer [256]byte // a hash takes bytes, and whole may be long
	for rest := whole; rest != ""; {
		n := copy(buffer[:], rest)
		_, _ = hash.Write(buffer[:n]) // a hash never fails to write
		rest = rest[n:]
	}
	suffix := fmt.Sprintf("-%08x", hash.Sum32())
	return strings.TrimRight(name[:min(len(name), maxName-len(suffix))], "-") + suffix
}

// nameOf returns the part of a metric's name that the value of a key makes.
func (p *parser) nameOf(key, value string) string {
	if _, private := p.environment[key]; private {
		return "from-env"
	}
	return value
}

// plainRune maps everything but lower-case letters, digits and dashes to them.
func plainRune(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
		return r
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	default:
		return '-'
	}
}
