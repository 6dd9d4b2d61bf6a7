package logs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// errUnfinished is a quoted text without its closing quote.
var errUnfinished = errors.New("a quoted text does not end")

// quoted returns the length of the quoted text at the beginning of text, with its quotes; 0 if there
// is none. Both LogsQL and LogQL quote as Go does: a backslash escapes, except between backticks.
func quoted(text, quotes string) (int, error) {
	if text == "" || !strings.Contains(quotes, text[:1]) {
		return 0, nil
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == text[0]:
			return i + 1, nil
		case text[i] == '\\' && text[0] != '`':
			i++
		}
	}
	return 0, errUnfinished
}

// A grammar is what a language needs so that a text stays one part between parentheses.
type grammar struct {
	// quotes begin and end a quoted text.
	quotes string
	// opening and closing are brackets, in any pairs: a range of LogsQL is "[1, 5)".
	opening, closing string
	// forbidden returns what a letter does that must not stand outside of quotes; "" if it may.
	forbidden func(letter rune) string
}

// check reports a text that would not stay one part between parentheses.
func (g grammar) check(text string) error {
	depth := 0
	for i := 0; i < len(text); {
		length, err := quoted(text[i:], g.quotes)
		if err != nil {
			return err
		}
		if length > 0 {
			i += length
			continue
		}
		letter, width := utf8.DecodeRuneInString(text[i:])
		if what := g.forbidden(letter); what != "" {
			return fmt.Errorf("%s outside of quotes %s", strconv.QuoteRune(letter), what)
		}
		if depth += g.step(letter); depth < 0 {
			return fmt.Errorf("%s closes nothing", strconv.QuoteRune(letter))
		}
		i += width
	}
	if depth > 0 {
		return errors.New("a bracket is not closed")
	}
	return nil
}

// step returns by how much a letter changes the depth of brackets.
func (g grammar) step(letter rune) int {
	switch {
	case strings.ContainsRune(g.opening, letter):
		return 1
	case strings.ContainsRune(g.closing, letter):
		return -1
	default:
		return 0
	}
}
