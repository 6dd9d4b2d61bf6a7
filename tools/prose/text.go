package main

import (
	"go/scanner"
	"go/token"
	"path"
	"regexp"
	"strings"
)

// hidden stands for what is no prose, so that every word keeps its place in the file.
const hidden = "\x00"

// proseOf returns the file with everything hidden that is no prose: the code of a Go file, but not its
// comments and strings; the code, links and generated parts of a document. Other files are all prose.
func proseOf(name, source string) string {
	switch path.Ext(name) {
	case ".go":
		return proseOfGo(source)
	case ".md":
		return proseOfMarkdown(source)
	default:
		return comment.ReplaceAllString(source, "$1 ")
	}
}

// comment is the mark at the beginning of a line of a comment, which parts no sentence.
var comment = regexp.MustCompile(`(?m)^([ \t]*)(?://|#)`)

func proseOfGo(source string) string {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, []byte(source), nil, scanner.ScanComments)
	var prose strings.Builder
	end := 0
	for {
		at, kind, text := s.Scan()
		if kind == token.EOF {
			break
		}
		if kind != token.COMMENT && kind != token.STRING {
			continue
		}
		// The scanner drops carriage returns; this project has none.
		begin := file.Offset(at)
		between := source[end:begin]
		if strings.TrimSpace(between) == "" {
			prose.WriteString(between)
		} else {
			prose.WriteString(hide(between))
		}
		end = begin + len(text)
		if kind == token.COMMENT {
			text = "  " + text[2:]
		}
		prose.WriteString(text)
	}
	prose.WriteString(hide(source[end:]))
	return prose.String()
}

var (
	span   = regexp.MustCompile("`[^`\n]*`")
	target = regexp.MustCompile(`\]\([^)\s]*\)`)
)

func proseOfMarkdown(source string) string {
	lines := strings.Split(source, "\n")
	for i, kept := range proseLines(lines) {
		if !kept {
			lines[i] = hide(lines[i])
			continue
		}
		lines[i] = span.ReplaceAllStringFunc(lines[i], hide)
		lines[i] = target.ReplaceAllStringFunc(lines[i], hide)
	}
	return strings.Join(lines, "\n")
}

// proseLines reports for each line of a document whether it is prose: no code, and no part that is
// generated from a source that is checked itself.
func proseLines(lines []string) []bool {
	kept := make([]bool, len(lines))
	fence, generated := "", false
	for i, line := range lines {
		text := strings.TrimSpace(line)
		switch {
		case fence != "":
			if text == fence {
				fence = ""
			}
		case strings.HasPrefix(text, "```"):
			fence = text[:len(text)-len(strings.TrimLeft(text, "`"))]
		case strings.HasPrefix(text, "<!-- generated:"), strings.HasPrefix(text, "<!-- values:"):
			generated = true
		case strings.HasPrefix(text, "<!-- end of "):
			generated = false
		default:
			kept[i] = !generated
		}
	}
	return kept
}

// hide replaces all characters but the ends of lines.
func hide(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if text[i] == '\n' {
			b.WriteByte('\n')
		} else {
			b.WriteString(hidden)
		}
	}
	return b.String()
}
