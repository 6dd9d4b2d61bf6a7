package explain

import (
	"fmt"
	"io"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// Lines writes the changes of a watch, one line for each trigger.
func Lines(w io.Writer, r *pb.WatchDecisionsResponse) error {
	at := r.GetAt().AsTime().UTC().Format("15:04:05.000")
	for _, e := range r.GetChanged() {
		text := state(e)
		if d := e.GetDecision(); d != nil {
			from := unitOf(e).number(d.GetValue()) + " / " + unitOf(e).number(d.GetTarget())
			if policy := e.GetTrigger().GetPolicy(); policy != "" {
				from = "policy " + policy
			}
			text = fmt.Sprintf("wants %s (%s), %s", plural(d.GetWantedReplicas(), "replica"), from, text)
		}
		if _, err := fmt.Fprintf(w, "%s  %s  %s\n", at, title(e), text); err != nil {
			return err
		}
	}
	for _, t := range r.GetRemoved() {
		if _, err := fmt.Fprintf(w, "%s  %s  no longer called by KEDA\n", at, title(&pb.Explanation{Trigger: t})); err != nil {
			return err
		}
	}
	return nil
}
