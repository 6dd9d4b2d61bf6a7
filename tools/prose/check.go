package main

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// width is the longest line of a document, in characters; tables and code may be wider.
const width = 100

// A finding is a place in a file that breaks a rule.
type finding struct {
	file string
	line int
	text string
}

func (f finding) String() string { return fmt.Sprintf("%s:%d: %s", f.file, f.line, f.text) }

// checkTree checks every file of the scope. A folder or a file of the scope that does not exist is an
// error, so that a typo cannot switch the check off.
func (r *rules) checkTree(tree fs.FS) ([]finding, error) {
	var findings []finding
	for _, top := range r.scope {
		err := fs.WalkDir(tree, top, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case r.skips(name) && entry.IsDir():
				return fs.SkipDir
			case entry.IsDir() || r.skips(name):
				return nil
			}
			data, err := fs.ReadFile(tree, name)
			if err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
			findings = append(findings, r.checkFile(name, string(data))...)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", top, err)
		}
	}
	return findings, nil
}

// checkFile returns what is wrong with a file, in the order of its lines.
func (r *rules) checkFile(name, source string) []finding {
	if !utf8.ValidString(source) {
		return nil // a picture
	}
	prose := proseOf(name, source)
	var findings []finding
	for _, w := range r.words {
		for _, at := range w.pattern.FindAllStringIndex(prose, -1) {
			text := prose[at[0]:at[1]]
			if r.allows(name, text) {
				continue
			}
			findings = append(findings, finding{
				file: name, line: 1 + strings.Count(prose[:at[0]], "\n"),
				text: fmt.Sprintf("%q: write %s", strings.Join(strings.Fields(text), " "), w.instead),
			})
		}
	}
	if path.Ext(name) == ".md" {
		findings = append(findings, tooWide(name, source)...)
	}
	slices.SortStableFunc(findings, func(a, b finding) int { return a.line - b.line })
	return findings
}

// tooWide finds the lines of a document that can be wrapped and are not.
func tooWide(name, source string) []finding {
	var findings []finding
	lines := strings.Split(source, "\n")
	for i, kept := range proseLines(lines) {
		line := strings.TrimLeft(lines[i], " -*>0123456789.")
		if !kept || strings.HasPrefix(line, "|") || !strings.Contains(line, " ") {
			continue
		}
		if n := utf8.RuneCountInString(lines[i]); n > width {
			findings = append(findings, finding{file: name, line: i + 1, text: fmt.Sprintf("%d characters: wrap at %d", n, width)})
		}
	}
	return findings
}
