package backlog

import "strings"

// namespacePlaceholder stands for the trigger's namespace in Connection.Queues.
const namespacePlaceholder = "{namespace}"

// AllowsQueue reports whether a trigger in namespace may name a queue of the connection. The
// name is one of Queues, so it may be a pattern, which is allowed if every queue that it can
// match is. For example, with the limit "{namespace}-*" the namespace shop may name "shop-a"
// and "shop-*", and neither "*" nor "s*".
func (c Connection) AllowsQueue(namespace, name string) bool {
	if len(c.Queues) == 0 {
		return true
	}
	for _, limit := range c.QueuesOf(namespace) {
		if covers(elements(limit), elements(name)) {
			return true
		}
	}
	return false
}

// QueuesOf returns the names and patterns to which the connection limits the triggers of a
// namespace; none is no limit.
func (c Connection) QueuesOf(namespace string) []string {
	limits := make([]string, len(c.Queues))
	for i, limit := range c.Queues {
		limits[i] = strings.ReplaceAll(limit, namespacePlaceholder, namespace)
	}
	return limits
}

// Exclusive reports whether the connection is for one namespace alone, so that everything that
// it holds belongs to that namespace.
func (c Connection) Exclusive() bool {
	return len(c.Namespaces) == 1 && !strings.ContainsAny(c.Namespaces[0], `*?[\`)
}

// Escape returns the name of Queues that means exactly this queue.
func Escape(queue string) string {
	return strings.NewReplacer(`\`, `\\`, ",", `\,`, "*", `\*`, "?", `\?`).Replace(queue)
}

// An element is one letter of a name of Queues, a star or a question mark.
type element struct {
	letter   rune
	wildcard bool
}

func elements(name string) []element {
	all := make([]element, 0, len(name))
	escaped := false
	for _, r := range name {
		switch {
		case escaped:
			all, escaped = append(all, element{letter: r}), false
		case r == '\\':
			escaped = true
		default:
			all = append(all, element{letter: r, wildcard: r == '*' || r == '?'})
		}
	}
	return all
}

// covers reports whether limit matches everything that name can match. A star of limit matches
// any elements of name, including wildcards. A question mark matches one element that is a
// letter or a question mark. So limit matches whatever the wildcards of name match.
func covers(limit, name []element) bool {
	// star is the index after the last star, and tried the end of what it matches so far.
	star, tried := -1, 0
	i, j := 0, 0
	for j < len(name) {
		switch {
		case i < len(limit) && limit[i].is('*'):
			star, tried = i+1, j
			i = star
		case i < len(limit) && limit[i].coversOne(name[j]):
			i, j = i+1, j+1
		case star >= 0:
			tried++
			i, j = star, tried
		default:
			return false
		}
	}
	for i < len(limit) && limit[i].is('*') {
		i++
	}
	return i == len(limit)
}

func (e element) is(wildcard rune) bool { return e.wildcard && e.letter == wildcard }

func (e element) coversOne(other element) bool {
	if e.is('?') {
		return !other.is('*')
	}
	return e == other
}
