package lag

// maxSpans is how many spans of a stream are remembered.
const maxSpans = 64

// A span are offsets of a stream, from the first to the last. All are messages, or none is.
type span struct {
	first, last int64
	messages    bool
}

// spans are what is known of the offsets of a stream, in order. A stream in which little happens is known
// whole.
type spans []span

// add adds a span that begins after all others, or repeats the end of what is known.
func (s spans) add(one span) spans {
	if n := len(s); n > 0 {
		last := &s[n-1]
		if one.first = max(one.first, last.last+1); one.first > one.last {
			return s
		}
		if last.messages == one.messages && last.last+1 == one.first {
			last.last = one.last
			return s
		}
	}
	if one.first > one.last {
		return s
	}
	if s = append(s, one); len(s) > maxSpans {
		s = append(s[:0], s[1:]...)
	}
	return s
}

// count returns how many messages there are from one offset to another, and whether that is exact. What
// is not known counts as messages.
//
// Worked example: 0 to 9 are messages and 10 and 11 hold stored offsets. From 5 to 14 there are 5
// messages, and at most 3 more.
func (s spans) count(first, last int64) (n int64, exact bool) {
	if first > last {
		return 0, true
	}
	next := first
	exact = true
	for _, one := range s {
		if one.last < next || one.first > last {
			continue
		}
		if gap := one.first - next; gap > 0 {
			n, exact, next = n+gap, false, one.first
		}
		end := min(one.last, last)
		if one.messages {
			n += end - next + 1
		}
		next = end + 1
	}
	if next <= last {
		n, exact = n+last-next+1, false
	}
	return n, exact
}
