package doctor

import (
	"cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// A view is what checks look at: the facts in their order, and what the authors of objects ignore.
type view struct {
	*facts.View

	ignores map[*object.Object]ignores
}

func newView(known *facts.Facts) *view {
	v := &view{facts.NewView(known), make(map[*object.Object]ignores)}
	for i := range known.Objects {
		o := &known.Objects[i]
		v.ignores[o] = parseIgnores(o)
	}
	return v
}

// A need is something that a check cannot do without.
type need string

// The needs, other than kinds of objects.
const (
	needCluster  need = "cluster"
	needScaler   need = "scaler"
	needConfig   need = "config"
	needPolicies need = "policies"
)

// reading returns the needs of a check that reads kinds of a cluster.
func reading(kinds ...object.Kind) []need {
	needs := []need{needCluster}
	for _, kind := range kinds {
		needs = append(needs, need(kind))
	}
	return needs
}

// cannot says why a check cannot be made; empty if it can.
func (v *view) cannot(c *Check) string {
	for _, n := range c.needs {
		why := ""
		switch n {
		case needCluster:
			if !v.Online {
				why = "needs a cluster, and manifests were given"
			}
		case needScaler:
			if v.Scaler == nil {
				why = cmp.Or(v.NoScaler, "no running scaler was asked")
			}
		case needConfig:
			if v.Connections == nil {
				why = "needs the scaler's configuration: --config FILE"
			}
		case needPolicies:
			if v.Policies == nil {
				why = "policies were not checked"
			}
		default:
			why = v.Unread[object.Kind(n)]
		}
		if why != "" {
			return why
		}
	}
	return ""
}

// ignored returns the reason for which an object ignores a code; empty if it does not.
func (v *view) ignored(o *object.Object, code string) string {
	if code == codeIgnore {
		return ""
	}
	if reason := v.ignores[o].reasons[code]; reason != "" {
		return reason
	}
	// KEDA writes its HorizontalPodAutoscalers, so their annotations are those of the ScaledObject.
	if above := v.Owner(o); above != nil {
		return v.ignores[above].reasons[code]
	}
	return ""
}
