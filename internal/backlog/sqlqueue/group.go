package sqlqueue

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A Group is the queries of one layout and one set of parameters. Members are their indexes among all.
type Group struct {
	Layout  Layout
	Params  backlog.Params
	Members []int
}

// Plan groups queries, at most so many in one group. users are the indexes of those with SQL of their
// own. refuse is called with each that cannot be read.
func Plan(queries []backlog.Query, layouts map[string]Layout, most int, refuse func(i int, err error)) (groups []*Group, users []int) {
	type key struct {
		layout string
		params backlog.Params
	}
	byKey := make(map[key]*Group)
	for i, q := range queries {
		l, known := layouts[q.Layout]
		switch {
		case q.Layout == QueryName:
			users = append(users, i)
		case !known:
			refuse(i, fmt.Errorf("%w: there is no such layout", backlog.ErrMismatch))
		case strings.ContainsRune(q.Queue, 0) || !utf8.ValidString(q.Queue):
			refuse(i, fmt.Errorf("%w: the name of the queue is no text", backlog.ErrMismatch))
		default:
			k := key{q.Layout, q.Params}
			g := byKey[k]
			if g == nil || len(g.Members) >= most {
				g = &Group{Layout: l, Params: q.Params}
				byKey[k] = g
				groups = append(groups, g)
			}
			g.Members = append(g.Members, i)
		}
	}
	return groups, users
}

// Apart reads a group. If it fails because of a part of its members, the halves are read by themselves,
// so that no trigger fails because of another one: fail is called with each that is left. isPart reports
// whether an error may be that of a part; another one is returned.
func (g *Group) Apart(read func(*Group) error, isPart func(error) bool, fail func(i int, err error)) error {
	err := read(g)
	if err == nil || len(g.Members) < 2 || !isPart(err) {
		return err
	}
	half := len(g.Members) / 2
	for _, members := range [][]int{g.Members[:half], g.Members[half:]} {
		part := &Group{Layout: g.Layout, Params: g.Params, Members: members}
		if err := part.Apart(read, isPart, fail); err != nil {
			for _, i := range members {
				fail(i, err)
			}
		}
	}
	return nil
}
