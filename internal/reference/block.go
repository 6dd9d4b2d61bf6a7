package reference

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The lines between which a generated part of a document stands.
const (
	blockBegin = "<!-- generated: %s; make %s -->\n"
	blockEnd   = "<!-- end of %s -->\n"
)

// A Block is a generated part of a document.
type Block struct {
	// Name stands in the lines around it.
	Name string
	// Text is what stands between them, whole lines.
	Text string
}

var errNoPlace = errors.New("the document has no place for the block")

// Fill puts blocks, which "make generate" writes, in their places in a document. The
// error says which of them has none.
func Fill(document string, blocks ...Block) (string, error) {
	return FillBy("generate", document, blocks...)
}

// FillBy is Fill for blocks that another target of the Makefile writes.
func FillBy(target, document string, blocks ...Block) (string, error) {
	for _, block := range blocks {
		begin, end := fmt.Sprintf(blockBegin, block.Name, target), fmt.Sprintf(blockEnd, block.Name)
		before, rest, begins := strings.Cut(document, begin)
		_, after, ends := strings.Cut(rest, end)
		if !begins || !ends {
			return "", fmt.Errorf("fill %q: %w", block.Name, errNoPlace)
		}
		document = before + begin + "\n" + strings.TrimSpace(block.Text) + "\n\n" + end + after
	}
	return document, nil
}

// Table returns a table of Markdown, of which the first row is the head.
func Table(rows [][]string) string { return table(rows).String() }

// A table is a table of Markdown: its first row is the head.
type table [][]string

// String aligns nothing: a change of one cell is a change of one line.
func (t table) String() string {
	var b strings.Builder
	for i, row := range t {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("| " + strings.Join(slices.Repeat([]string{"---"}, len(row)), " | ") + " |\n")
		}
	}
	return b.String()
}

// code is text in the type of code, or nothing.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// cell makes a sentence safe within a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
