package trigger

import (
	"strings"
)

// Knows reports whether key may be one of a trigger of the catalog whose value is in the
// ScaledObject itself. KEDA resolves "xFromEnv" to a variable of the scaled container, which
// may be anything.
func (c *Catalog) Knows(key string) bool { return !strings.HasSuffix(key, fromEnv) && c.known[key] }

// knownKeys returns the keys that metadata may have.
func (c *Catalog) knownKeys() map[string]bool {
	known := map[string]bool{}
	for _, key := range kedaKeys() {
		known[key] = true
	}
	for _, parameter := range Common() {
		known[parameter.Name] = true
	}
	for _, engine := range c.engines {
		for _, layout := range engine.Layouts {
			known[layout.Name] = true
			for _, parameter := range layout.Parameters {
				known[parameter.Name] = true
			}
		}
	}
	return known
}
