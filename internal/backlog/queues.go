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
	// MaxPatterns is how many of these may be patterns: for each the keys of a server are
	// gone through.
	MaxPatterns = 20
	// MaxQueueName is the length of each, in bytes.
	MaxQueueName = 1024
)

// Queues are what one trigger names: queues, and patterns of their names, each as a
// person writes it. In a name a backslash makes a comma, a star, a question mark or a
// backslash an ordinary character.
type Queues []string

// ParseQueues splits text at its commas. Blanks around a name do not count, nor does
// a name that is there twice. The error says what is wrong with text.
func ParseQueues(text string) (Queues, error) {
	parser := queueParser{seen: make(map[string]struct{})}
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
	seen     map[string]struct{}
	patterns int
}

// add takes the next name. Only where it is the only one it may be empty.
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

// trimBlanks takes the blanks off both ends, but for one behind a backslash.
func trimBlanks(s string) string {
	s = strings.TrimLeft(s, " \t")
	t := strings.TrimRight(s, " \t")
	if strings.HasSuffix(t, `\`) && !strings.HasSuffix(t, `\\`) && len(t) < len(s) {
		return s[:len(t)+1]
	}
	return t
}

// String is the text that ParseQueues makes q of.
func (q Queues) String() string { return strings.Join(q, ",") }

// Several tells whether q may be more than one queue.
func (q Queues) Several() bool { return len(q) > 1 || len(q) == 1 && IsPattern(q[0]) }

// IsPattern tells whether a name of Queues stands for all queues that match it.
func IsPattern(name string) bool {
	escaped := false
	for _, r := range name {
		if !escaped && (r == '*' || r == '?') {
			return true
		}
		escaped = !escaped && r == '\\'
	}
	return false
}

// Unescape returns the queue that a name of Queues means which is no pattern.
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

// Match reports whether a queue is one that pattern, a name of Queues, stands for: a star
// is any characters, also none, and a question mark is one. It allocates nothing.
func Match(pattern, queue string) bool {
	matches, _ := MatchSteps(pattern, queue)
	return matches
}

// MatchSteps is Match, and says what it cost: steps, at most the product of the lengths. A
// hostile pattern takes as many.
func MatchSteps(pattern, queue string) (matches bool, steps int) {
	// star is the place behind the last star, and tried how much it stands for so far.
	star, tried := -1, 0
	i, j := 0, 0
	for j < len(queue) {
		steps++
		// Most names differ, or begin alike: bytes are compared as long as they mean themselves.
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

// special reports whether a byte of a pattern does not mean itself.
func special(b byte) bool { return b == '*' || b == '?' || b == '\\' }

// matchOne returns of the first element of a pattern how many bytes it has, whether it is
// a star, and else whether the letter fits it.
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
