package main

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
)

// rules are the content of rules.txt.
type rules struct {
	// scope are the files and folders that are checked.
	scope []string
	// skip are patterns of files below them that are not.
	skip  []string
	words []word
	allow []exception
}

// A word is an expression that is not to be used.
type word struct {
	pattern *regexp.Regexp
	// instead is what to write.
	instead string
}

// An exception allows a text in the files that match a pattern.
type exception struct {
	files, text string
}

var errRule = errors.New("want PATTERN = TEXT")

// parseRules reads the sections [scope], [skip], [words] and [allow]. A line that begins with # is a
// comment.
func parseRules(source string) (*rules, error) {
	r := &rules{}
	section, number := "", 0
	for line := range strings.Lines(source) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			section = strings.Trim(line, "[]")
			continue
		}
		if err := r.add(section, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return r, nil
}

func (r *rules) add(section, line string) error {
	switch section {
	case "scope":
		r.scope = append(r.scope, line)
		return nil
	case "skip":
		r.skip = append(r.skip, line)
		return nil
	}
	left, right, found := strings.Cut(line, " = ")
	if !found || right == "" {
		return errRule
	}
	switch section {
	case "words":
		// A space also matches the end of a line.
		pattern, err := regexp.Compile(`(?i)\b(?:` + strings.ReplaceAll(left, " ", `\s+`) + `)\b`)
		if err != nil {
			return fmt.Errorf("compile %q: %w", left, err)
		}
		r.words = append(r.words, word{pattern: pattern, instead: right})
	case "allow":
		files, text, found := strings.Cut(left, ": ")
		if !found {
			return errRule
		}
		r.allow = append(r.allow, exception{files: files, text: strings.ToLower(text)})
	default:
		return fmt.Errorf("section %q: %w", section, errors.ErrUnsupported)
	}
	return nil
}

// allows reports whether an exception covers the text in the file.
func (r *rules) allows(file, text string) bool {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	for _, e := range r.allow {
		if e.text == text && matches(e.files, file) {
			return true
		}
	}
	return false
}

// skips reports whether the file is left out.
func (r *rules) skips(file string) bool {
	for _, pattern := range r.skip {
		if matches(pattern, file) {
			return true
		}
	}
	return false
}

// matches reports whether a pattern names the file, one of its folders, or the file's base name.
func matches(pattern, file string) bool {
	for name := file; name != "."; name = path.Dir(name) {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	ok, err := path.Match(pattern, path.Base(file))
	return ok && err == nil
}
