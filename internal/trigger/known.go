package trigger

import (
	"slices"
	"strings"
)

// Knows reports whether key may be one of a trigger of the catalog whose value is in the
// ScaledObject itself. KEDA resolves "xFromEnv" to a variable of the scaled container, which
// may be anything.
func (c *Catalog) Knows(key string) bool {
	if strings.HasSuffix(key, fromEnv) {
		return false
	}
	if slices.Contains(kedaKeys(), key) {
		return true
	}
	for _, parameter := range Common() {
		if key == parameter.Name {
			return true
		}
	}
	for _, engine := range c.engines {
		for _, layout := range engine.Layouts {
			if key == layout.Name {
				return true
			}
			for _, parameter := range layout.Parameters {
				if key == parameter.Name {
					return true
				}
			}
		}
	}
	return false
}
