package reference

import (
	"regexp"
	"strings"
	"unicode"
)

// A Fence is a block of code in a document.
type Fence struct {
	// Language is the word behind the opening marks.
	Language string
	// Text is the content, without the indentation of the fence itself.
	Text string
	// Line is that of the first line of Text, from 1.
	Line int
}

var fenceMark = regexp.MustCompile("^( *)(```+)([a-z]*)$")

// Fences returns the blocks of code of a document, and the document without them.
func Fences(document string) (fences []Fence, prose string) {
	var rest strings.Builder
	var open *Fence
	var indent, mark string
	number := 0
	for line := range strings.Lines(document) {
		number++
		text := strings.TrimRight(line, "\n")
		match := fenceMark.FindStringSubmatch(text)
		switch {
		case open != nil && match != nil && match[2] == mark && match[3] == "":
			fences = append(fences, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(text, indent) + "\n"
		case match != nil:
			indent, mark = match[1], match[2]
			open = &Fence{Language: match[3], Line: number + 1}
		default:
			rest.WriteString(line)
			continue
		}
		rest.WriteString("\n")
	}
	return fences, rest.String()
}

var (
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
)

// Spans returns the code within the lines of prose.
func Spans(prose string) []string { return submatches(codeSpan, prose) }

// Links returns the targets of the links in prose.
func Links(prose string) []string {
	return submatches(linkTarget, codeSpan.ReplaceAllString(prose, "x"))
}

// Anchors returns the names by which the headings in prose can be linked to.
func Anchors(prose string) []string {
	var anchors []string
	for _, title := range submatches(heading, prose) {
		anchors = append(anchors, strings.Map(anchorRune, strings.ToLower(title)))
	}
	return anchors
}

// anchorRune returns a character of a heading in its anchor; negative omits it.
func anchorRune(r rune) rune {
	switch {
	case r == ' ':
		return '-'
	case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
		return r
	default:
		return -1
	}
}

func submatches(pattern *regexp.Regexp, text string) []string {
	var found []string
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		found = append(found, match[1])
	}
	return found
}

// Row is a row of a table, its cells without the space around them.
type Row []string

// Rows returns the rows of all tables in prose whose header begins with the given cell.
func Rows(prose, head string) []Row {
	var rows []Row
	inside := false
	for line := range strings.Lines(prose) {
		row := cells(strings.TrimSpace(line))
		switch {
		case row == nil:
			inside = false
		case row[0] == head:
			inside = true
		case inside && strings.Trim(row[0], "-: ") != "":
			rows = append(rows, row)
		}
	}
	return rows
}

func cells(line string) Row {
	inner, found := strings.CutPrefix(line, "|")
	if !found {
		return nil
	}
	inner = strings.TrimSuffix(inner, "|")
	var row Row
	for c := range strings.SplitSeq(strings.ReplaceAll(inner, `\|`, "\x00"), "|") {
		row = append(row, strings.TrimSpace(strings.ReplaceAll(c, "\x00", "|")))
	}
	return row
}
