package backlog_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestParseQueues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, text string
		want       backlog.Queues
		several    bool
	}{
		{"one", "jobs", backlog.Queues{"jobs"}, false},
		{"three, with blanks", " critical, default ,low", backlog.Queues{"critical", "default", "low"}, true},
		{"twice the same", "a,b,a", backlog.Queues{"a", "b"}, true},
		{"a pattern", "tenant-*", backlog.Queues{"tenant-*"}, true},
		{"a comma in a name", `a\,b`, backlog.Queues{`a\,b`}, false},
		{"a star in a name", `a\*`, backlog.Queues{`a\*`}, false},
		{"a backslash before a star", `a\\*`, backlog.Queues{`a\\*`}, true},
		{"a blank at the end of a name", `a\ ,b`, backlog.Queues{`a\ `, "b"}, true},
		{"nothing", "", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := backlog.ParseQueues(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("queues (-want +got):\n%s", diff)
			}
			if got.Several() != tc.several {
				t.Errorf("Several is %t", got.Several())
			}
			if canonical := got.Canonical(tc.text); canonical != got.String() {
				t.Errorf("the canonical text is %q, want %q", canonical, got.String())
			}
			again, err := backlog.ParseQueues(got.String())
			if diff := cmp.Diff(got, again); err != nil || diff != "" {
				t.Errorf("its own text is read as (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}

func TestParseQueuesFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a,,b":                           "a name is empty, want names separated by single commas",
		"a,":                             "a name is empty, want names separated by single commas",
		",a":                             "a name is empty, want names separated by single commas",
		`a\`:                             `ends with a single \, want \\ for a backslash`,
		strings.Repeat("ab?,", 1):        "a name is empty, want names separated by single commas",
		manyNames(1 + backlog.MaxQueues): "names more than 1000 queues, want at most that many",
		strings.ReplaceAll(manyNames(1+backlog.MaxPatterns), ",", "*,") + "*": "names more than 20 patterns, want at most that many",
		strings.Repeat("a", 1+backlog.MaxQueueName):                           "a name is 1025 bytes long, want at most 1024",
	} {
		if got, err := backlog.ParseQueues(text); err == nil || err.Error() != want {
			t.Errorf("%.20q: %v, error %v, want %s", text, got, err, want)
		}
	}
}

// manyNames is a text of n different names.
func manyNames(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return strings.Join(names, ",")
}

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, queue string
		want           bool
	}{
		{"tenant-*", "tenant-1", true},
		{"tenant-*", "tenant-", true},
		{"tenant-*", "other", false},
		{"*", "", true},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXbYbZ", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"?", "ü", true},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"a/*", "a/b/c", true},
		{"plain", "plain", true},
		{"plain", "plainer", false},
	} {
		if got := backlog.Match(tc.pattern, tc.queue); got != tc.want {
			t.Errorf("Match(%q, %q) = %t", tc.pattern, tc.queue, got)
		}
	}
}

// FuzzMatch holds Match against a regular expression that means the same.
func FuzzMatch(f *testing.F) {
	f.Add("tenant-*", "tenant-1")
	f.Add("*a*b?", "aaabc")
	f.Add("???", "äöü")
	f.Fuzz(func(t *testing.T, pattern, queue string) {
		if strings.Contains(pattern, `\`) || !utf8.ValidString(pattern) || !utf8.ValidString(queue) {
			return
		}
		same := regexp.QuoteMeta(pattern)
		same = strings.ReplaceAll(strings.ReplaceAll(same, `\*`, `.*`), `\?`, `.`)
		if got, want := backlog.Match(pattern, queue), regexp.MustCompile(`(?s)^`+same+`$`).MatchString(queue); got != want {
			t.Errorf("Match(%q, %q) = %t", pattern, queue, got)
		}
	})
}

func TestUnescape(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"jobs": "jobs", `a\,b`: "a,b", `a\\b`: `a\b`, `\*\?`: "*?"} {
		if got := backlog.Unescape(name); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", name, got, want)
		}
	}
}
