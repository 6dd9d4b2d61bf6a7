package page

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/explain"
	"github.com/backlog-scaler/backlog-scaler/internal/policies"
	"github.com/backlog-scaler/backlog-scaler/internal/policy"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// A detail is one trigger of a ScaledObject.
type detail struct {
	ID      string
	Trigger *pb.Trigger
	State   inspector.State
	Sheet   explain.Sheet
	Problem *pb.Problem
	Picture *picture
	Steps   []step
	Chart   *chart
	// Next says what happens to the replicas next, and what of that a scaler cannot know.
	Next []string
	// Metadata is what KEDA sent.
	Metadata []Setting
}

// A scaledObject is the body of the page of a ScaledObject.
type scaledObject struct {
	Namespace, Name string
	Triggers        []detail
}

// trigger serves the page of a ScaledObject.
func (p *Page) trigger(w http.ResponseWriter, r *http.Request) {
	namespace, name := r.PathValue("namespace"), r.PathValue("name")
	response, err := p.inspector.Explain(r.Context(), &pb.ExplainRequest{Namespace: namespace, ScaledObject: name})
	if err != nil {
		p.failed(w, err)
		return
	}
	body := scaledObject{Namespace: namespace, Name: name}
	view := p.inspector.Triggers(&inspector.Query{Namespace: body.Namespace, Text: body.Namespace + "/" + body.Name})
	sheets := explain.Sheets(response)
	for n, e := range response.GetExplanations() {
		d := detail{ID: "d" + strconv.Itoa(n), Trigger: e.GetTrigger(), Sheet: sheets[n], Problem: e.GetProblem(), State: stateOf(e)}
		d.Picture = decisionPicture(d.ID+"-picture", e, d.Sheet.Verdict)
		d.Steps = stepsOf(e)
		if named := e.GetPolicy(); named != nil {
			d.Picture = policyPicture(d.ID+"-picture", named.GetPolicy(), d.Sheet.Verdict)
			d.Steps = replicaSteps(named.GetPolicy())
		}
		for i := range view.Rows {
			if rowID(view.Rows[i].Key) == "t-"+e.GetTrigger().GetId() {
				d.Chart = triggerChart(d.ID+"-chart", view.Histories[i], unitOf(e))
			}
		}
		if named := e.GetTrigger().GetPolicy(); named != "" {
			d.Chart = chartOf(d.ID+"-chart", p.inspector.PolicyHistory(policies.Key{Namespace: namespace, Name: named}), demand, "ceiling")
		} else {
			d.Next = nextOf(e, response.GetAt().AsTime())
		}
		for _, key := range slices.Sorted(maps.Keys(e.GetTrigger().GetMetadata())) {
			d.Metadata = append(d.Metadata, Setting{key, e.GetTrigger().GetMetadata()[key]})
		}
		body.Triggers = append(body.Triggers, d)
	}
	p.render(w, http.StatusOK, "trigger", p.frame(backlog.Line(namespace+"/"+name), "triggers", body))
}

// failed serves the error of the inspector.
func (p *Page) failed(w http.ResponseWriter, err error) {
	text, missing := p.inspector.Missing(err)
	if missing {
		p.missing(w, text+".", "KEDA asks about a ScaledObject at each poll, every 30 seconds unless its pollingInterval says otherwise.")
		return
	}
	http.Error(w, "the scaler could not explain it: "+text, http.StatusServiceUnavailable)
}

// stateOf returns the state of an explanation.
func stateOf(e *pb.Explanation) inspector.State {
	d, problem := e.GetDecision(), e.GetProblem()
	switch {
	case d == nil && problem.GetReason() == "warming_up":
		return inspector.WarmingUp
	case d == nil && (problem.GetReason() == "invalid" || problem.GetReason() == "not_available"):
		return inspector.Rejected
	case d == nil:
		return inspector.Failing
	case problem != nil:
		return inspector.Bridged
	case d.GetActive():
		return inspector.Active
	default:
		return inspector.Inactive
	}
}

// unitOf returns what the value of a trigger counts.
func unitOf(e *pb.Explanation) string {
	if e.GetReading() != nil && e.GetReading().Measured != nil {
		return "measured"
	}
	return "messages"
}

func stepsOf(e *pb.Explanation) []step {
	var all []step
	for _, s := range e.GetDecision().GetSteps() {
		all = append(all, step{Reason: s.GetReason(), Before: s.GetBefore(), After: s.GetAfter(), Description: plain(s.GetDescription())})
	}
	return all
}

func replicaSteps(x *pb.Policy) []step {
	var all []step
	for _, s := range x.GetSteps() {
		all = append(all, step{Reason: s.GetReason(), Name: s.GetName(), Before: float64(s.GetBefore()), After: float64(s.GetAfter()), Description: plain(s.GetDescription())})
	}
	return all
}

// connections serves the page of the connections.
func (p *Page) connections(w http.ResponseWriter, _ *http.Request) {
	type body struct {
		Connections []backlog.ConnectionState
		Now         time.Time
	}
	p.render(w, http.StatusOK, "connections", p.frame("Connections", "connections", body{p.inspector.ConnectionStates(), p.now()}))
}

// A policyRow is a policy in the list.
type policyRow struct {
	Namespace, Name, Workload, Mode, Via, Windows, Next, Gate, Problem string
	Current, Wanted, Reported, Floor, Ceiling                          string
	NextAt                                                             time.Time
	// History has what was reported.
	History []inspector.Sample
}

// policies serves the list of policies.
func (p *Page) policies(w http.ResponseWriter, _ *http.Request) {
	all, watched := p.inspector.Policies()
	type body struct {
		Watched  bool
		Policies []policyRow
	}
	b := body{Watched: watched}
	now := p.now()
	for i := range all {
		row := policyRowOf(&all[i], now)
		row.History = wanted(p.inspector.PolicyHistory(all[i].Policy.Key))
		b.Policies = append(b.Policies, row)
	}
	p.render(w, http.StatusOK, "policies", p.frame("Policies", "policies", b))
}

// wanted returns a history whose values are the replicas that were wanted.
func wanted(h []inspector.Sample) []inspector.Sample {
	for i := range h {
		h[i].Value = h[i].Wants
	}
	return h
}

func policyRowOf(x *policies.Explanation, now time.Time) policyRow {
	o, d := &x.Outcome, &x.Outcome.Decision
	row := policyRow{
		Namespace: x.Policy.Namespace, Name: x.Policy.Name, Workload: x.Policy.Ref.Kind + " " + x.Policy.Ref.Name, Mode: string(x.Policy.Mode), Via: string(x.Policy.Via),
		Current: unknown, Wanted: unknown, Reported: unknown, Floor: unknown, Ceiling: unknown, Windows: "none", Next: "–", Gate: "–",
	}
	switch {
	case len(o.Problems) > 0:
		row.Problem = backlog.Line(o.Problems[0].Err.Error())
	case x.TargetKnown && x.Target.Err != nil:
		row.Problem = backlog.Line(x.Target.Err.Error())
	case o.Err != nil:
		row.Problem = backlog.Line(o.Err.Error())
	}
	number := func(n int32) string { return strconv.Itoa(int(n)) }
	if x.Read() {
		row.Current, row.Floor, row.Ceiling = number(x.Target.Replicas), number(d.Floor), number(d.Ceiling)
		if o.Decided() {
			row.Wanted, row.Reported = number(d.Wanted), number(o.Replicas)
		}
		row.schedule(d, now)
	}
	if x.Pending.Required > 0 {
		row.Gate = "waits for " + plural(int(x.Pending.Required), "available replica")
	} else if x.Pending.Period.After(now) {
		row.Gate = "waits for its period, another " + explain.Age(x.Pending.Period.Sub(now))
	}
	return row
}

// schedule adds the open windows and the next edge.
func (r *policyRow) schedule(d *policy.Decision, now time.Time) {
	s := &d.Schedule
	if len(s.Open) > 0 {
		r.Windows = strings.Join(s.Open, ", ")
	}
	if s.Next.Window != "" {
		verb := "closes"
		if s.Next.Opens {
			verb = "opens"
		}
		r.Next, r.NextAt = s.Next.Window+" "+verb+" in "+explain.Age(s.Next.At.Sub(now)), s.Next.At
	}
}

// policy serves the page of a policy.
func (p *Page) policy(w http.ResponseWriter, r *http.Request) {
	key := policies.Key{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	response, err := p.inspector.ExplainPolicy(r.Context(), &pb.ExplainPolicyRequest{Namespace: key.Namespace, Name: key.Name})
	if err != nil {
		p.failed(w, err)
		return
	}
	type body struct {
		Namespace, Name string
		Sheet           explain.Sheet
		Picture         *picture
		Steps           []step
		Chart           *chart
		Timeline        *timeline
	}
	x := response.GetExplanation().GetPolicy()
	b := body{Namespace: key.Namespace, Name: key.Name, Sheet: explain.PolicySheet(response)}
	b.Picture, b.Steps = policyPicture("picture", x, b.Sheet.Verdict), replicaSteps(x)
	all, _ := p.inspector.Policies()
	for i := range all {
		if all[i].Policy.Key == key {
			b.Timeline = timelineOf(&all[i].Policy.Spec, p.now())
		}
	}
	b.Chart = chartOf("chart", p.inspector.PolicyHistory(key), demand, "ceiling")
	p.render(w, http.StatusOK, "policy", p.frame(backlog.Line("Policy "+key.String()), "policies", b))
}

// about serves what the scaler is.
func (p *Page) about(w http.ResponseWriter, _ *http.Request) {
	p.render(w, http.StatusOK, "about", p.frame("About", "about", p.options.Settings))
}
