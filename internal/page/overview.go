package page

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// A list is the body of the overview.
type list struct {
	inspector.View

	Query inspector.Query
	// States are links that select a state, and Sorts those of the columns.
	States []choice
	Sorts  map[string]choice
	// Clear is the address without filters, and Earlier and Later those of the neighbouring pages;
	// empty without one. This is the address of the page itself, for its stream.
	Clear, Earlier, Later, This string
	// First and Last are the numbers of the first and the last row.
	First, Last int
	// Policies says how many there are; empty without any.
	Policies string
	// Hidden are the fields that the form keeps.
	Hidden []Setting
}

// A choice is a link.
type choice struct {
	Name, ID, URL string
	Count         int
	Current       bool
	// Order is the order of a column: "ascending", "descending" or empty.
	Order string
}

// sorts are the columns by which rows can be ordered, with the direction of their natural order.
func sorts() map[inspector.Sort]string {
	return map[inspector.Sort]string{
		inspector.ByState: "ascending", inspector.ByName: "ascending", inspector.ByWants: "descending",
		inspector.ByBacklog: "descending", inspector.ByOldest: "descending", inspector.ByRead: "descending",
	}
}

// maxText bounds a text of a query, in bytes.
const maxText = 300

// queryOf returns the query of an address. What is unknown selects all.
func queryOf(values url.Values) inspector.Query {
	text := func(name string) string {
		value := values.Get(name)
		return value[:min(len(value), maxText)]
	}
	q := inspector.Query{
		Namespace: text("namespace"), Connection: text("connection"), Reason: text("reason"), Text: text("q"),
		Sort: inspector.Sort(text("sort")), Reverse: values.Get("reverse") != "",
	}
	if _, known := sorts()[q.Sort]; !known {
		q.Sort = inspector.ByState
	}
	for state := range inspector.NumberOfStates {
		if stateID(state) == values.Get("state") {
			q.State = &state
		}
	}
	q.Page, _ = strconv.Atoi(values.Get("page"))
	return q
}

// address returns the address of a query.
func address(q *inspector.Query) string {
	values := url.Values{}
	for _, field := range fields(q) {
		if field.Value != "" {
			values.Set(field.Name, field.Value)
		}
	}
	if len(values) == 0 {
		return "/"
	}
	return "/?" + values.Encode()
}

// fields returns the parameters of the address of a query.
func fields(q *inspector.Query) []Setting {
	all := []Setting{
		{"q", q.Text}, {"namespace", q.Namespace}, {"connection", q.Connection}, {"reason", q.Reason}, {"sort", string(q.Sort)},
	}
	if q.State != nil {
		all = append(all, Setting{"state", stateID(*q.State)})
	}
	if q.Reverse {
		all = append(all, Setting{"reverse", "1"})
	}
	if q.Page > 1 {
		all = append(all, Setting{"page", strconv.Itoa(q.Page)})
	}
	return all
}

// with returns the address of a query that differs.
func with(q inspector.Query, change func(*inspector.Query)) string {
	q.Page = 0
	change(&q)
	return address(&q)
}

// policiesLine says how many policies there are, and how many have a problem; empty without any.
func (p *Page) policiesLine() string {
	all, _ := p.inspector.Policies()
	if len(all) == 0 {
		return ""
	}
	problems, now := 0, p.now()
	for i := range all {
		if row := policyRowOf(&all[i], now); row.Problem != "" {
			problems++
		}
	}
	text := plural(len(all), "policy")
	if problems > 0 {
		text += ", " + strconv.Itoa(problems) + " with a problem"
	}
	return text
}

// overview serves the list of triggers.
func (p *Page) overview(w http.ResponseWriter, r *http.Request) {
	q := queryOf(r.URL.Query())
	v := p.inspector.Triggers(&q)
	q.Page = v.Page
	l := list{View: v, Query: q, Clear: "/", This: address(&q), Sorts: map[string]choice{}}
	if len(v.Rows) > 0 {
		l.First = (v.Page-1)*inspector.PageSize + 1
		l.Last = l.First + len(v.Rows) - 1
	}
	if v.Page > 1 {
		l.Earlier = with(q, func(q *inspector.Query) { q.Page = v.Page - 1 })
	}
	if v.Page < v.Pages {
		l.Later = with(q, func(q *inspector.Query) { q.Page = v.Page + 1 })
	}
	l.States, l.Policies = states(&q, &v), p.policiesLine()
	for by, natural := range sorts() {
		c := choice{URL: with(q, func(q *inspector.Query) { q.Sort, q.Reverse = by, q.Sort == by && !q.Reverse })}
		if q.Sort == by {
			c.Current, c.Order = true, natural
			if q.Reverse {
				c.Order = map[string]string{"ascending": "descending", "descending": "ascending"}[natural]
			}
		}
		l.Sorts[string(by)] = c
	}
	for _, field := range fields(&q) {
		if field.Value != "" && (field.Name == "state" || field.Name == "sort" || field.Name == "reverse") {
			l.Hidden = append(l.Hidden, field)
		}
	}
	p.render(w, http.StatusOK, "overview", p.frame("Triggers", "triggers", l))
}

// states returns a link for each state, and one for all.
func states(q *inspector.Query, v *inspector.View) []choice {
	all := []choice{{Name: "all", ID: "all", URL: with(*q, func(q *inspector.Query) { q.State = nil }), Current: q.State == nil}}
	for state := range inspector.NumberOfStates {
		all[0].Count += v.States[state]
		all = append(all, choice{
			Name: state.String(), ID: stateID(state), Count: v.States[state], Current: q.State != nil && *q.State == state,
			URL: with(*q, func(q *inspector.Query) { q.State = &state }),
		})
	}
	return all
}
