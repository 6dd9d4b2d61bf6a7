package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// MaxNames is how many names a hint lists.
const MaxNames = 5

// SuggestNames returns the text of Reading.Hint about a name that does not exist: the nearest
// name that does, and the first of the others.
func SuggestNames(wanted string, names []string) string {
	slices.Sort(names)
	names = slices.Compact(names)
	near := spelling.Nearest(wanted, names)
	if near != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name == near })
		near = fmt.Sprintf("did you mean %q?", near)
	}
	switch {
	case len(names) == 0 && near == "":
		return "there is no other queue either"
	case len(names) == 0:
		return near
	case len(names) > MaxNames:
		return strings.TrimSuffix("among the others are "+strings.Join(names[:MaxNames], ", ")+"; "+near, "; ")
	default:
		return strings.TrimSuffix("there are "+strings.Join(names, ", ")+"; "+near, "; ")
	}
}
