package runner

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// spelled names what was meant by a name that is none of all, and what there is if that is little.
func spelled(name string, all []string) string {
	const few = 16
	text := ""
	if near := spelling.Nearest(name, all); near != "" {
		text = fmt.Sprintf(", did you mean %q?", near)
	}
	if len(all) > 0 && len(all) <= few {
		text += " (there are: " + strings.Join(all, ", ") + ")"
	}
	return text
}
