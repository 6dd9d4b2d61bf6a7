// Package terminal lays out tables for a terminal, and holds the sequences that move its cursor.
package terminal

import (
	"strings"
	"unicode/utf8"
)

// Gap separates two columns.
const Gap = "  "

// An Alignment places the cells of a column.
type Alignment uint8

// The alignments. A Free cell is not padded, which suits a last column of texts.
const (
	Left Alignment = iota
	Right
	Free
)

// Align returns a line for each row. A column is as wide as its widest cell; there is one alignment for each.
//
// Worked example: the rows {a, 1} and {bcd, 10}, aligned Left and Right, are "a     1" and "bcd  10".
func Align(rows [][]string, columns ...Alignment) []string {
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	lines := make([]string, len(rows))
	for n, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			switch columns[i] {
			case Left:
				cells[i] = PadRight(cell, widths[i])
			case Right:
				cells[i] = PadLeft(cell, widths[i])
			case Free:
				cells[i] = cell
			}
		}
		lines[n] = strings.Join(cells, Gap)
	}
	return lines
}

// PadRight appends spaces up to the width, in characters.
func PadRight(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
}

// PadLeft puts spaces in front up to the width, in characters.
func PadLeft(text string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text))) + text
}

// Truncate shortens text to the width, in characters. An ellipsis takes the place of what is left out.
func Truncate(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}
