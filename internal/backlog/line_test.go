package backlog_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"plain", `read list "jobs": unavailable`, `read list "jobs": unavailable`},
		{"letters and signs of all languages", "очередь 队列 café → 🦀", "очередь 队列 café → 🦀"},
		{"several lines", "a\r\nb\tc", `a\r\nb\tc`},
		{"NUL and delete", "a\x00b\x7f", `a\x00b\x7f`},
		{"colours of a terminal", "\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"C1: one character that begins a sequence", "a\u009b31m", `a\u009b31m`},
		{"C1 as a byte", "a\x9b31m", `a\x9b31m`},
		{"directions", "a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`},
		{"no width", "a\u200bb\u2060c\ufeffd\u00ade\u034f", `a\u200bb\u2060c\ufeffd\u00ade\u034f`},
		{"letters that do not show", "a\u3164b\uffa0c\ufe0f", `a\u3164b\uffa0c\ufe0f`},
		{"tags", "a\U000e0041", `a\U000e0041`},
		{"separators of lines", "a\u2028b\u2029c\u0085d", `a\u2028b\u2029c\u0085d`},
		{"broken", "a\xff\xc3", `a\xff\xc3`},
		{"its own mark of broken bytes", "a\ufffd", "a\ufffd"},
		{"long", strings.Repeat("a", 2000), strings.Repeat("a", 720) + " [1040 bytes left out] " + strings.Repeat("a", 240)},
		{"long by what is written for it", strings.Repeat("\n", 600), strings.Repeat(`\n`, 360) + " [120 bytes left out] " + strings.Repeat(`\n`, 120)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := backlog.Line(tc.text); got != tc.want {
				t.Errorf("got  %q\nwant %q", got, tc.want)
			}
		})
	}
}

// checkLine reports a text that may not leave the process.
func checkLine(t *testing.T, text, line string) {
	t.Helper()
	if len(line) > backlog.MaxLine || !utf8.ValidString(line) {
		t.Errorf("%q becomes %d bytes: %q", text, len(line), line)
	}
	for _, r := range line {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			t.Errorf("%q keeps %U", text, r)
		}
	}
	if again := backlog.Line(line); again != line {
		t.Errorf("a line becomes another:\n%q\n%q", line, again)
	}
	if len(text) <= backlog.MaxLine && strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0 && line != text {
		t.Errorf("%q becomes %q", text, line)
	}
}

func FuzzLine(f *testing.F) {
	for _, text := range []string{"", "a", "a\nb", "\x1b[2J", "\u202e", "\xff\xfe", strings.Repeat("é", 600), strings.Repeat("\u2028", 700) + "end"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkLine(t, text, backlog.Line(text))
		long := strings.Repeat(text, 1+2*backlog.MaxLine/(len(text)+1))
		checkLine(t, long, backlog.Line(long))
		for line := range strings.Lines(backlog.Lines(text, 3)) {
			checkLine(t, line, strings.TrimSuffix(line, "\n"))
		}
	})
}

func TestLines(t *testing.T) {
	t.Parallel()
	if got, want := backlog.Lines("a\x1b\r\nb\nc\nd", 2), "a\\x1b\nb\nand more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := backlog.Lines("a\nb\n", 5); got != "a\nb" {
		t.Errorf("got %q", got)
	}
}

// TestQueryNamesFewQueues: a text names the first queues of a query, and says how many
// more there are.
func TestQueryNamesFewQueues(t *testing.T) {
	t.Parallel()
	many := make([]string, backlog.MaxQueues)
	for i := range many {
		many[i] = fmt.Sprintf("queue-%d", i)
	}
	for _, tc := range []struct{ queue, want string }{
		{"jobs", `list "jobs"`},
		{"a,b,c", `list "a,b,c"`},
		{"a,b,c,d", `list "a,b,c" and 1 more`},
		{`a\,b,c`, `list "a\\,b,c"`},
		{strings.Join(many, ","), `list "queue-0,queue-1,queue-2" and 997 more`},
		{strings.Repeat("é", 300), `list ` + strconv.Quote(strings.Repeat("é", 120)+"...")},
	} {
		if got := (backlog.Query{Layout: "list", Queue: tc.queue}).String(); got != tc.want {
			t.Errorf("got %s, want %s", got, tc.want)
		}
	}
}

// TestConceal: of a query whose texts came from the environment nothing is left that an
// engine has written with them.
func TestConceal(t *testing.T) {
	t.Parallel()
	const secret = "canary"
	q := backlog.Query{Layout: "list", Queue: secret, Params: backlog.NewParams(map[string]string{
		"prefix": secret, backlog.ParamFromEnv: "listFromEnv,prefixFromEnv",
	})}
	refused := fmt.Errorf("%w: ERR unknown command with args %q", backlog.ErrDenied, secret)
	for name, err := range map[string]error{
		"of the query":  &backlog.ReadError{Query: q, Connection: "main", Err: backlog.WithAdvice(refused, "the rights")},
		"of any engine": refused,
		"none":          nil,
	} {
		parts := []backlog.Part{{Queue: secret, Reading: backlog.Reading{Missing: true, Warning: secret, Hint: secret}}}
		r := backlog.Result{Err: err, Reading: backlog.Reading{Warning: secret, Hint: secret, Parts: parts}}
		q.Conceal(&r)
		texts := []string{q.String(), q.ShownQueue(), r.Reading.Warning, r.Reading.Hint, r.Reading.Parts[0].Reading.Warning, r.Reading.Parts[0].Reading.Hint}
		if err != nil {
			text, change := backlog.Advice(r.Err)
			texts = append(texts, r.Err.Error(), text, change)
			if !errors.Is(r.Err, backlog.ErrDenied) {
				t.Errorf("%s: %v has lost its reason", name, r.Err)
			}
		}
		for _, text := range texts {
			if strings.Contains(text, secret) {
				t.Errorf("%s: %q", name, text)
			}
		}
		if parts[0].Reading.Warning != secret {
			t.Errorf("%s: the parts of the source were changed", name)
		}
	}
	// What is of the connection says nothing of the query.
	whole := &backlog.ReadError{Query: q, Connection: "main", Err: fmt.Errorf("%w: dial: refused", backlog.ErrUnavailable), Whole: true}
	if got, want := whole.Error(), `read list [from listFromEnv] of connection "main": unavailable: dial: refused`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	// A query that stands in the trigger is named.
	plain := backlog.Query{Layout: "list", Queue: "jobs"}
	r := backlog.Result{Err: refused, Reading: backlog.Reading{Warning: "w", Hint: "h"}}
	plain.Conceal(&r)
	if r.Err != refused || r.Reading.Warning != "w" || r.Reading.Hint != "h" { //nolint:errorlint // the very same
		t.Errorf("got %+v", r)
	}
}

func TestUTF8(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ data, want string }{
		{"secret", "secret"},
		{"\xef\xbb\xbfsecret", "secret"},
		{"\xef\xbb\xbf", ""},
		{"\xff\xfes\x00", "error"},
		{"\xfe\xff\x00s", "error"},
		{"s\x00e\x00", "error"},
	} {
		got, err := backlog.UTF8([]byte(tc.data))
		if (err != nil) != (tc.want == "error") || err == nil && string(got) != tc.want {
			t.Errorf("%q: got %q, %v", tc.data, got, err)
		}
	}
}
