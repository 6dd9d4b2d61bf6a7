package backlog

import (
	"regexp"
	"strings"
)

// hidden replaces what was removed from a text.
const hidden = "***"

// namedSecret is a setting of a connection string whose value is a secret, such as
// "password=hunter2".
var namedSecret = regexp.MustCompile(`(?i)([a-z_-]*(?:passw?|pwd|secret|token|auth|credential|key)[a-z_-]*=)[^\s,;&"']+`)

// Redact returns text without user information and secrets: the part of a word before an "@"
// that contains a colon, as in "rediss://user:password@host", and the value of "password=". It
// is for errors and logs with text from other programs. Use RedactValue for a value that is
// wrong as a whole.
func Redact(text string) string {
	if !strings.ContainsAny(text, "@=") {
		return text
	}
	var b strings.Builder
	for text != "" {
		end := strings.IndexAny(text, " \t\r\n")
		switch {
		case end == 0:
			b.WriteByte(text[0])
			text = text[1:]
			continue
		case end < 0:
			end = len(text)
		}
		word := text[:end]
		if at := strings.LastIndexByte(word, '@'); at >= 0 && strings.Contains(word[:at], ":") {
			word = cutUser(word, at)
		}
		b.WriteString(word)
		text = text[end:]
	}
	return namedSecret.ReplaceAllString(b.String(), "${1}"+hidden)
}

// RedactValue returns a wrong value as an error may repeat it: without everything before its
// last "@", and without the values of "password=" and the like.
func RedactValue(value string) string {
	if at := strings.LastIndexByte(value, '@'); at >= 0 {
		value = cutUser(value, at)
	}
	return namedSecret.ReplaceAllString(value, "${1}"+hidden)
}

// cutUser removes what precedes the index at, except a quotation mark and the scheme of a URL.
func cutUser(text string, at int) string {
	begin := 0
	if i := strings.Index(text[:at], "://"); i >= 0 && isScheme(strings.TrimLeft(text[:i], `"'`)) {
		begin = i + len("://")
	} else if strings.IndexAny(text, `"'`) == 0 {
		begin = 1
	}
	return text[:begin] + hidden + text[at:]
}

// isScheme reports whether text looks like a scheme, such as "rediss", and not like a secret.
func isScheme(text string) bool {
	for _, r := range text {
		if (r < 'a' || r > 'z') && r != '+' && r != '-' {
			return false
		}
	}
	return text != ""
}

// HasUserInfo reports whether text contains a URL with user information.
func HasUserInfo(text string) bool {
	_, rest, found := strings.Cut(text, "://")
	return found && strings.Contains(rest, "@")
}
