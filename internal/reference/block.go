package reference

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The lines around a generated part of a document.
const (
	blockBegin = "<!-- generated: %s; make %s -->\n"
	blockEnd   = "<!-- end of %s -->\n"
)

// A Block is a generated part of a document.
type Block struct {
	// Name is in the lines around the block.
	Name string
	// Text is the content, in whole lines.
	Text string
}

var errNoPlace = errors.New("the document has no such block")

// Fill replaces blocks of a document that "make generate" writes. The error names a block that
// the document does not have.
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

// Table returns a Markdown table. The first row is its header.
func Table(rows [][]string) string { return table(rows).String() }

// A table is a Markdown table. The first row is its header.
type table [][]string

// String aligns no columns, so that a change of one cell changes one line.
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

// code returns text as a code span; empty for no text.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// cell escapes a sentence for a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
