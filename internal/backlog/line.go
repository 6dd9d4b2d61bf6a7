package backlog

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a text that leaves the process.
const (
	// MaxLine is its length, in bytes. KEDA's events hold as much.
	MaxLine = 1024
	// lineHead and lineTail are the lengths in bytes that are kept of a longer text. An error
	// begins with the operation and ends with the cause.
	lineHead, lineTail = 720, 240
)

// Line returns text as it may leave the process: one line of at most MaxLine bytes of valid
// UTF-8 in which every character is visible. Control characters, writing directions, invisible
// characters and invalid bytes are escaped as in Go, such as \n, \u202e and \xff. The middle of
// a longer text is replaced by its length. Line is idempotent.
func Line(text string) string {
	if isLine(text) {
		return text
	}
	if line, size := lineStart(text, MaxLine); size == len(text) {
		return line
	}
	head, before := lineStart(text, lineHead)
	tail, after := lineEnd(text[before:], lineTail)
	return fmt.Sprintf("%s [%d bytes left out] %s", head, len(text)-before-after, tail)
}

// Lines is Line for a text that has several lines on purpose. It returns at most so many of
// them.
func Lines(text string, most int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if len(lines) == most {
			return strings.Join(append(lines, "and more"), "\n")
		}
		lines = append(lines, Line(strings.TrimRight(line, "\r\n")))
	}
	return strings.Join(lines, "\n")
}

func isLine(text string) bool {
	if len(text) > MaxLine || !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if !shows(r) {
			return false
		}
	}
	return true
}

// shows reports whether a character occupies space of its own and changes no other character.
func shows(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= ' ' && r <= '~'
	}
	return strconv.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// lineStart returns the beginning of text as a line of at most so many bytes, and the number of
// bytes of text in it.
func lineStart(text string, most int) (line string, size int) {
	var b []byte
	for size < len(text) {
		r, width := utf8.DecodeRuneInString(text[size:])
		one := written(r, text[size:size+width])
		if len(b)+len(one) > most {
			break
		}
		b = append(b, one...)
		size += width
	}
	return string(b), size
}

// lineEnd is lineStart for the end of text.
func lineEnd(text string, most int) (line string, size int) {
	var parts []string
	length := 0
	for size < len(text) {
		rest := text[:len(text)-size]
		r, width := utf8.DecodeLastRuneInString(rest)
		one := written(r, rest[len(rest)-width:])
		if length+len(one) > most {
			break
		}
		parts = append(parts, one)
		length += len(one)
		size += width
	}
	slices.Reverse(parts)
	return strings.Join(parts, ""), size
}

// written returns a character as it appears in a line; raw is its bytes.
func written(r rune, raw string) string {
	switch {
	case r == utf8.RuneError && len(raw) == 1:
		return fmt.Sprintf(`\x%02x`, raw[0])
	case shows(r):
		return raw
	default:
		quoted := strconv.QuoteRuneToASCII(r)
		return quoted[1 : len(quoted)-1]
	}
}
