package logs

import (
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// TestCheck: settings that do not go together are reported, each by its key.
func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		values map[string]any
		want   []string // none is no error
	}{
		"VictoriaLogs":                 {map[string]any{"server": "victorialogs", "accountID": int64(1), "filter": `ns:="{namespace}"`}, nil},
		"a filter of streams":          {map[string]any{"server": "victorialogs", "filter": `{ns="{namespace}"} or level:fatal`}, nil},
		"Loki":                         {map[string]any{"server": "loki", "tenant": "t", "filter": `ns="{namespace}", app!~"x|y"`}, nil},
		"Elasticsearch":                {map[string]any{"server": "elasticsearch", "filter": `ns:"{namespace}" AND NOT level:debug`}, nil},
		"no url":                       {map[string]any{"server": "loki", "url": ""}, []string{"url"}},
		"a tenant of VictoriaLogs":     {map[string]any{"server": "victorialogs", "tenant": "t"}, []string{"tenant", "accountID"}},
		"an account of Loki":           {map[string]any{"server": "loki", "projectID": int64(1)}, []string{"accountID", "victorialogs"}},
		"a filter with a pipe":         {map[string]any{"server": "victorialogs", "filter": `ns:="{namespace}" | limit 1`}, []string{"filter", "pipe"}},
		"a filter that leaves":         {map[string]any{"server": "victorialogs", "filter": `a) or (b`}, []string{"filter", "closes nothing"}},
		"a filter without an end":      {map[string]any{"server": "victorialogs", "filter": `a:="{namespace}`}, []string{"filter", "does not end"}},
		"a blank filter":               {map[string]any{"server": "opensearch", "filter": ` `}, []string{"filter", "empty"}},
		"a selector as filter":         {map[string]any{"server": "loki", "filter": `{ns="{namespace}"}`}, []string{"filter", "label matchers"}},
		"a line filter as filter":      {map[string]any{"server": "loki", "filter": `ns="{namespace}" |= "x"`}, []string{"filter", "label matchers"}},
		"a value without quotes":       {map[string]any{"server": "loki", "filter": `ns={namespace}`}, []string{"filter", "label ns", "quoted"}},
		"several faults at once":       {map[string]any{"server": "loki", "url": "ftp://x", "filter": "x", "accountID": int64(1)}, []string{"url", "filter", "accountID"}},
		"a namespace in the wrong way": {map[string]any{"server": "loki", "filter": `ns=~"{namespace}-.*"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, set := c.values["url"]; !set {
				c.values["url"] = "http://logs:9428"
			}
			connection := backlog.Connection{Name: "orders", Settings: backlog.NewSettings(c.values)}
			err := Engine().Check(connection.Settings)
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("error %v, want %q in it", err, c.want)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %v, want %q in it", err, part)
				}
			}
			if err == nil {
				return
			}
			if _, err := Engine().Open(t.Context(), connection, nil); err == nil || !strings.Contains(err.Error(), "orders") {
				t.Errorf("open: %v", err)
			}
		})
	}
}

// TestEngineIsComplete: what the documentation is made of is there, and defaults are values that
// their own parameter accepts.
func TestEngineIsComplete(t *testing.T) {
	t.Parallel()
	e := Engine()
	parameters := append([]backlog.Parameter(nil), e.Settings...)
	seen := make(map[string]bool)
	for _, l := range e.Layouts {
		if l.Name == "" || l.Summary == "" || l.Queue == "" || !l.Measures {
			t.Errorf("layout %q is not described", l.Name)
		}
		parameters = append(parameters, l.Parameters...)
	}
	for _, p := range parameters {
		if !strings.HasSuffix(p.Doc, ".") || seen[p.Name] {
			t.Errorf("parameter %q is not described by a sentence, or is there twice", p.Name)
		}
		seen[p.Name] = true
		if p.Default != "" {
			if _, err := p.Parse(p.Default); err != nil {
				t.Errorf("parameter %q does not accept its default %q: %v", p.Name, p.Default, err)
			}
		}
	}
}

// TestCheckQuery: what a trigger may not ask on a connection is reported with its key.
func TestCheckQuery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server, text string
		params       map[string]string
		want         string // empty is no error
	}{
		"VictoriaLogs":              {victoriaLogs, "error", nil, ""},
		"a pipe":                    {victoriaLogs, "error | limit 1", nil, "query: '|' outside of quotes begins a pipe"},
		"Loki":                      {loki, `{a="b"}`, nil, ""},
		"no selector":               {loki, `error`, nil, "query: want a log query that begins with a stream selector"},
		"OpenSearch":                {openSearch, "error", map[string]string{"index": "a"}, ""},
		"no index":                  {openSearch, "error", nil, "index: required"},
		"an index of another":       {elasticsearch, "error", map[string]string{"index": "a/b"}, `index: "a/b"`},
		"an index that leads out":   {elasticsearch, "error", map[string]string{"index": ".."}, `index: ".."`},
		"an index that is taken":    {elasticsearch, "error", map[string]string{"index": "-a"}, `index: "-a"`},
		"no name between commas":    {elasticsearch, "error", map[string]string{"index": "a,,b"}, `index: ""`},
		"several fields":            {elasticsearch, "error", map[string]string{"index": "a", "timeField": "a*"}, `timeField: "a*"`},
		"the longest field":         {elasticsearch, "error", map[string]string{"index": "a", "timeField": strings.Repeat("a", 255)}, ""},
		"a longer field":            {elasticsearch, "error", map[string]string{"index": "a", "timeField": strings.Repeat("a", 256)}, `timeField: "aaa`},
		"an index for VictoriaLogs": {victoriaLogs, "error", map[string]string{"index": "a"}, "index, timeField: only for"},
		"a field for Loki":          {loki, `{a="b"}`, map[string]string{"timeField": "a"}, "index, timeField: only for"},
		"a short window":            {victoriaLogs, "error", map[string]string{"window": "999ms"}, `window: "999ms", want whole seconds from 1s to 24h`},
		"a long window":             {victoriaLogs, "error", map[string]string{"window": "24h1s"}, "window"},
		"a broken window":           {victoriaLogs, "error", map[string]string{"window": "1500ms"}, "window"},
		"a negative window":         {victoriaLogs, "error", map[string]string{"window": "-5m"}, "window"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			params := map[string]string{"window": "5m"}
			maps.Copy(params, c.params)
			q := backlog.Query{Layout: layoutQuery, Queue: c.text, Params: backlog.NewParams(params)}
			err := checkQuery(backlog.NewSettings(map[string]any{"server": c.server}), q)
			if (err == nil) != (c.want == "") || err != nil && !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("the error is %v, want %s", err, c.want)
			}
		})
	}
}

// TestFilterFor: only the name of a namespace stands in a filter.
func TestFilterFor(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("a", 63)
	for namespace, want := range map[string]string{"shop": `ns="shop"`, longest: `ns="` + longest + `"`, longest + "a": "", "-shop": "", `a"`: "", "": ""} {
		if got, err := filterFor(`ns="{namespace}"`, namespace); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %s, error %v; want %s", namespace, got, err, want)
		}
	}
}

// FuzzLogsQL: whatever the text is, either it is refused or it stays between the parentheses, as
// another reader of quotes and brackets sees it.
func FuzzLogsQL(f *testing.F) {
	for _, text := range []string{"", "error", `a:="b" or c`, "a) or (b", "`a|b`", `"a\"|b"`, `'a`, "a # b", "_time:[1, 2)", "in(a | b)", "{a=\"b\"}", "\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := logsQL(question{text: text, window: time.Minute})
		if err != nil {
			return
		}
		bare := strip(text, "\"'`")
		if strings.ContainsAny(bare, "|#") {
			t.Errorf("%q is accepted as %q", text, got)
		}
		if got != "_time:60s ("+text+"\n) | stats count() as hits" {
			t.Errorf("%q becomes %q", text, got)
		}
	})
}

// FuzzLogQL: whatever the text is, either it is refused or the query keeps its form, with the
// matchers of the connection first in its only selector.
func FuzzLogQL(f *testing.F) {
	for _, text := range []string{
		"", `{a="b"}`, `{a="b"} or vector(0)`, `{ a = "b" , c=~` + "`d`" + ` } |= "e"`, `{a="b"})[5m])) or ({c="d"}`, `{ns="x"}`,
		`{a="}"} |= "{"`, `{a="b"} # `, `{a="b"} | (c="d" or e="f")`, `{a="b\"}`, "{a=`\\`}", `{a='b'}`, "{", "{}", "\xff",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, _, err := logQL(question{text: text, window: time.Minute, filter: `ns="shop"`})
		if err != nil {
			return
		}
		if !strings.HasPrefix(got, `sum(count_over_time({ns="shop", `) || !strings.HasSuffix(got, `[60s]))`) {
			t.Fatalf("%q becomes %q", text, got)
		}
		bare := strip(got, "\"`")
		if strings.Count(bare, "{") != 1 || strings.Count(bare, "}") != 1 || strings.Count(bare, "[") != 1 || strings.ContainsAny(bare, "#'") {
			t.Errorf("%q becomes %q", text, got)
		}
		depth := 0
		for i, letter := range bare {
			switch letter {
			case '(':
				depth++
			case ')':
				depth--
			}
			if depth < 2 && strings.Contains(bare[:i], "{") && i < strings.LastIndex(bare, "]") {
				t.Errorf("%q leaves the parentheses: %q", text, got)
			}
		}
	})
}

// strip returns a text without what is quoted in it.
func strip(text, quotes string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if !strings.Contains(quotes, text[i:i+1]) {
			b.WriteByte(text[i])
			continue
		}
		quote := text[i]
		for i++; i < len(text) && text[i] != quote; i++ {
			if text[i] == '\\' && quote != '`' {
				i++
			}
		}
	}
	return b.String()
}

// FuzzAnswers: no body is a count that is negative or not exact, and none causes a panic.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"status":"success","data":{"resultType":"vector","result":[{"value":[1,"7"]}]}}`, `{"count":7,"_shards":{"total":1,"successful":1,"failed":0}}`,
		`{"error":{"root_cause":[{"reason":"x"}],"reason":"y"}}`, `{"error":"x"}`, "plain\ntext", "[[[[", "",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = plainReason(body), elasticReason(body)
		for _, parse := range []func([]byte) (answer, error){parseVector, parseCounted} {
			found, err := parse(body)
			if err != nil && (found.known || found.count != 0) || found.count < 0 || found.count > maxCount || !found.known && found.count != 0 {
				t.Errorf("%q is %+v, %v", body, found, err)
			}
		}
	})
}

// TestMatchersJoin: joined matchers are those of the filter and then those of the selector, each as
// it was written.
func TestMatchersJoin(t *testing.T) {
	t.Parallel()
	one := rapid.Custom(func(t *rapid.T) string {
		quote := rapid.SampledFrom([]string{`"`, "`"}).Draw(t, "quote")
		blank := rapid.SampledFrom([]string{"", " ", "\t"})
		return blank.Draw(t, "before") + rapid.StringMatching(`[a-m_][a-z0-9_]{0,5}`).Draw(t, "label") + blank.Draw(t, "between") +
			rapid.SampledFrom([]string{"=", "!=", "=~", "!~"}).Draw(t, "operator") + blank.Draw(t, "then") +
			quote + rapid.StringMatching(`[a-z,{}|() .]{0,8}`).Draw(t, "value") + quote
	})
	rapid.Check(t, func(t *rapid.T) {
		own := rapid.SliceOfN(one, 1, 4).Draw(t, "selector")
		joined, err := joinMatchers(`ns="shop"`, strings.Join(own, ","))
		if err != nil {
			t.Fatal(err)
		}
		matchers, err := parseMatchers(joined)
		if err != nil || len(matchers) != len(own)+1 || matchers[0].text != `ns="shop"` {
			t.Fatalf("%q becomes %q, %v, %v", own, joined, matchers, err)
		}
		for i, m := range own {
			if matchers[i+1].text != strings.TrimSpace(m) {
				t.Errorf("%q becomes %q", m, matchers[i+1].text)
			}
		}
	})
}
