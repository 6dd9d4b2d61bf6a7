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

// few is how many names an error lists.
const few = 10

// unknown says that KEDA has not asked about a ScaledObject, and which ones may be
// meant.
func (i *Inspector) unknown(now time.Time, request *pb.ExplainRequest) string {
	wanted := request.GetNamespace() + "/" + request.GetScaledObject()
	var all, near, beside []string
	known := map[string]bool{}
	i.server.EachAccount(now, of(""), func(_ uint64, a *server.Account, _ func()) bool {
		name := a.Namespace + "/" + a.ScaledObject
		if known[name] {
			return true
		}
		known[name] = true
		all = append(all, name)
		if a.ScaledObject == request.GetScaledObject() {
			near = append(near, name)
		}
		if a.Namespace == request.GetNamespace() {
			beside = append(beside, name)
		}
		return true
	})
	slices.Sort(all)
	slices.Sort(near)
	slices.Sort(beside)
	if name := spelling.Nearest(wanted, all); name != "" && !slices.Contains(near, name) {
		near = append([]string{name}, near...)
	}
	text := "KEDA has not asked this replica about " + wanted + " lately"
	switch {
	case len(all) == 0:
		return text + ", nor about any other ScaledObject"
	case len(near) > 0:
		return text + ", did you mean " + strings.Join(near[:min(len(near), few)], " or ") + "?"
	case len(beside) > 0:
		return fmt.Sprintf("%s; in that namespace there is %s", text, list(beside))
	default:
		return fmt.Sprintf("%s; there is %s", text, list(all))
	}
}

// unknownTrigger says that a ScaledObject has no trigger of a name.
func unknownTrigger(request *pb.ExplainRequest, names []string) string {
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	text := fmt.Sprintf("%s/%s has no trigger %q", request.GetNamespace(), request.GetScaledObject(), request.GetTrigger())
	if near := spelling.Nearest(request.GetTrigger(), names); near != "" {
		return text + ", did you mean " + near + "?"
	}
	if len(names) == 0 {
		return text + "; all its triggers are refused"
	}
	return text + "; it has " + list(names)
}

// list is some names.
func list(names []string) string {
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}
