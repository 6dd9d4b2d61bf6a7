package reference

import "strings"

// HereDocuments returns the contents of the here-documents of a shell script that
// end with the given word.
func HereDocuments(script, word string) []string {
	var documents []string
	for {
		_, rest, found := strings.Cut(script, "<<'"+word+"'\n")
		if !found {
			return documents
		}
		text, after, _ := strings.Cut(rest, "\n"+word+"\n")
		documents = append(documents, text+"\n")
		script = after
	}
}

// CommandLines returns the commands of a shell script: continued lines are joined, comments and
// here-documents are omitted.
func CommandLines(script string) []string {
	var lines []string
	var partial, until string
	for raw := range strings.Lines(script) {
		line := strings.TrimRight(raw, "\n")
		if until != "" {
			if strings.TrimSpace(line) == until {
				until = ""
			}
			continue
		}
		if head, more := strings.CutSuffix(line, `\`); more {
			partial += strings.TrimSpace(head) + " "
			continue
		}
		line = partial + strings.TrimSpace(line)
		partial = ""
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if _, word, here := strings.Cut(line, "<<"); here {
			until = strings.Trim(strings.Fields(word)[0], `'"-`)
		}
		lines = append(lines, line)
	}
	return lines
}

// Words splits a simple command into its words as a shell does, with quotes and comments.
func Words(line string) []string {
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == '#' && !inWord:
			return words
		case r == ' ' || r == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if inWord {
		words = append(words, word.String())
	}
	return words
}
