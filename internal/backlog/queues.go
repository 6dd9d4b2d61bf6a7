package backlog

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The bounds of what one trigger may name.
const (
	// MaxQueues is the number of names and patterns.
	MaxQueues = 1000
	// MaxPatterns is how many of these may be patterns, because each makes the engine scan its
	// keys.
	MaxPatterns = 20
	// MaxQueueName is the length of each, in bytes.
	MaxQueueName = 1024
)

// Queues are what one trigger names: queues, and patterns of queue names, each as written by
// its author. In a name a backslash makes a comma, a star, a question mark or a backslash an
// ordinary character.
type Queues []string

// ParseQueues splits text at its commas. It ignores blanks around a name and repeated names.
// The error says what is wrong with text.
func ParseQueues(text string) (Queues, error) {
	most := min(1+strings.Count(text, ","), MaxQueues)
	parser := queueParser{most: most, seen: make(map[string]struct{}, most)}
	start, escaped := 0, false
	for i := range len(text) {
		if text[i] != ',' || escaped {
			escaped = !escaped && text[i] == '\\'
			continue
		}
		if err := parser.add(text[start:i], true); err != nil {
			return nil, err
		}
		start = i + 1
	}
	if escaped {
		return nil, errors.New(`ends with a single \, want \\ for a backslash`)
	}
	err := parser.add(text[start:], start > 0)
	return parser.all, err
}

// A queueParser collects the names of one text.
type queueParser struct {
	all      Queues
	most     int // how many names there may be
	seen     map[string]struct{}
	patterns int
}

// add adds the next name. It may be empty only if it is the only one.
func (p *queueParser) add(name string, several bool) error {
	name = trimBlanks(name)
	switch {
	case name == "" && several:
		return errors.New("a name is empty, want names separated by single commas")
	case len(name) > MaxQueueName:
		return fmt.Errorf("a name is %d bytes long, want at most %d", len(name), MaxQueueName)
	}
	if _, twice := p.seen[name]; name == "" || twice {
		return nil
	}
	p.seen[name] = struct{}{}
	if p.all == nil {
		p.all = make(Queues, 0, p.most)
	}
	p.all = append(p.all, name)
	if IsPattern(name) {
		p.patterns++
	}
	switch {
	case len(p.all) > MaxQueues:
		return fmt.Errorf("names more than %d queues, want at most that many", MaxQueues)
	case p.patterns > MaxPatterns:
		return fmt.Errorf("names more than %d patterns, want at most that many", MaxPatterns)
	}
	return nil
}

// trimBlanks removes the blanks at both ends, except one after a backslash.
func trimBlanks(s string) string {
	s = strings.TrimLeft(s, " \t")
	t := strings.TrimRight(s, " \t")
	if strings.HasSuffix(t, `\`) && !strings.HasSuffix(t, `\\`) && len(t) < len(s) {
		return s[:len(t)+1]
	}
	return t
}

// String returns a text from which ParseQueues returns q.
func (q Queues) String() string { return strings.Join(q, ",") }

// Canonical is String for the text that ParseQueues got: text itself where it is the same.
func (q Queues) Canonical(text string) string {
	length := len(q) - 1
	for _, name := range q {
		length += len(name)
	}
	// Only blanks and repeated names are left out, each with some bytes of text.
	if length == len(text) {
		return text
	}
	return q.String()
}

// Several reports whether q may be more than one queue.
func (q Queues) Several() bool { return len(q) > 1 || len(q) == 1 && IsPattern(q[0]) }

// IsPattern reports whether a name of Queues means all queues that match it.
func IsPattern(name string) bool {
	if strings.IndexByte(name, '*') < 0 && strings.IndexByte(name, '?') < 0 {
		return false
	}
	escaped := false
	for _, r := range name {
		if !escaped && (r == '*' || r == '?') {
			return true
		}
		escaped = !escaped && r == '\\'
	}
	return false
}

// Unescape returns the queue that a name of Queues means. The name is no pattern.
func Unescape(name string) string {
	if !strings.Contains(name, `\`) {
		return name
	}
	var plain strings.Builder
	escaped := false
	for _, r := range name {
		if escaped = !escaped && r == '\\'; !escaped {
			plain.WriteRune(r)
		}
	}
	return plain.String()
}

// Match reports whether a pattern, a name of Queues, matches a queue: a star matches any
// characters, also none, and a question mark matches one. It does not allocate.
func Match(pattern, queue string) bool {
	matches, _ := MatchSteps(pattern, queue)
	return matches
}

// MatchSteps is Match, and also returns its cost: the number of steps, at most the product of
// the lengths. A hostile pattern reaches that bound.
func MatchSteps(pattern, queue string) (matches bool, steps int) {
	// star is the index after the last star, and tried the end of what it matches so far.
	star, tried := -1, 0
	i, j := 0, 0
	for j < len(queue) {
		steps++
		// Most names differ, or share a prefix: bytes are compared as long as they are literal.
		for i < len(pattern) && j < len(queue) && pattern[i] == queue[j] && pattern[i] < utf8.RuneSelf && !special(pattern[i]) {
			i++
			j++
			steps++
		}
		if j == len(queue) {
			break
		}
		letter, width := utf8.DecodeRuneInString(queue[j:])
		size, any1, fits := matchOne(pattern[i:], letter)
		switch {
		case any1:
			star, tried = i+1, j
			i = star
		case fits:
			i += size
			j += width
		case star >= 0:
			_, width := utf8.DecodeRuneInString(queue[tried:])
			tried += width
			i, j = star, tried
		default:
			return false, steps
		}
	}
	return strings.Trim(pattern[i:], "*") == "", steps
}

// special reports whether a byte of a pattern is not literal.
func special(b byte) bool { return b == '*' || b == '?' || b == '\\' }

// matchOne returns the size in bytes of the first element of a pattern, whether it is a star,
// and otherwise whether it matches the letter.
func matchOne(pattern string, letter rune) (size int, star, fits bool) {
	if pattern == "" {
		return 0, false, false
	}
	switch pattern[0] {
	case '*':
		return 1, true, false
	case '?':
		return 1, false, true
	case '\\':
		if len(pattern) > 1 {
			want, width := utf8.DecodeRuneInString(pattern[1:])
			return 1 + width, false, want == letter
		}
	}
	want, width := utf8.DecodeRuneInString(pattern)
	return width, false, want == letter
}
