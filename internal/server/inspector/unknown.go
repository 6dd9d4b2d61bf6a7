package inspector

import (
	"fmt"
	"slices"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/server"
	"github.com/backlog-scaler/backlog-scaler/internal/spelling"
)

// few is the number of names that an error lists.
const few = 10

// unknown returns the error text for a ScaledObject that KEDA has not asked about, with
// similar names.
func (i *Inspector) unknown(now time.Time, request *pb.ExplainRequest) string {
	wanted := request.GetNamespace() + "/" + request.GetScaledObject()
	var all, near, siblings []string
	known := map[string]bool{}
	i.server.EachTriggerStatus(now, inNamespace(""), func(_ uint64, t *server.TriggerStatus, _ func()) bool {
		name := t.Namespace + "/" + t.ScaledObject
		if known[name] {
			return true
		}
		known[name] = true
		all = append(all, name)
		if t.ScaledObject == request.GetScaledObject() {
			near = append(near, name)
		}
		if t.Namespace == request.GetNamespace() {
			siblings = append(siblings, name)
		}
		return true
	})
	slices.Sort(all)
	slices.Sort(near)
	slices.Sort(siblings)
	if name := spelling.Nearest(wanted, all); name != "" && !slices.Contains(near, name) {
		near = append([]string{name}, near...)
	}
	text := "KEDA has not asked this replica about " + wanted + " recently"
	switch {
	case len(all) == 0:
		return text + ", or about any other ScaledObject"
	case len(near) > 0:
		return text + ", did you mean " + strings.Join(near[:min(len(near), few)], " or ") + "?"
	case len(siblings) > 0:
		return fmt.Sprintf("%s; known in this namespace: %s", text, list(siblings))
	default:
		return fmt.Sprintf("%s; known: %s", text, list(all))
	}
}

// unknownTrigger returns the error text for a trigger that a ScaledObject does not have.
func unknownTrigger(request *pb.ExplainRequest, names []string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	text := fmt.Sprintf("%s/%s has no trigger %q", request.GetNamespace(), request.GetScaledObject(), request.GetTrigger())
	if near := spelling.Nearest(request.GetTrigger(), names); near != "" {
		return text + ", did you mean " + near + "?"
	}
	if len(names) == 0 {
		return text + "; all its triggers are rejected"
	}
	return text + "; it has " + list(names)
}

// list joins a few names.
func list(names []string) string {
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}
