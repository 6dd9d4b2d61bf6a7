package formula_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/backlog-scaler/backlog-scaler/internal/formula"
)

func names() []string {
	return []string{"backlog", "booked", "latency", formula.Need("backlog"), formula.Need("booked"), formula.Current, formula.Ready}
}

func values() formula.Values {
	return formula.Values{
		"backlog": 90, "booked": 120, "latency": 2.5,
		formula.Need("backlog"): 4.5, formula.Need("booked"): 3, formula.Current: 4, formula.Ready: 3,
	}
}

func TestFormula(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want float64
		uses []string
	}{
		{"3", 3, nil},
		{"backlog / 20", 4.5, []string{"backlog"}},
		{"ceil(backlog / 20)", 5, []string{"backlog"}},
		{"max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)", 6.75, []string{"latency", "need.backlog", "need.booked"}},
		{`need["backlog"]`, 4.5, []string{"need.backlog"}},
		{"1 / 2", 0.5, nil},
		{"7 / 2 * 2", 7, nil},
		{"9223372036854775807 + 1", 9223372036854775808, nil},
		{"-current + ready", -1, []string{"current", "ready"}},
		{"min(current, ready, 10)", 3, []string{"current", "ready"}},
		{"max(backlog)", 90, []string{"backlog"}},
		{"abs(ready - current) + floor(latency)", 3, []string{"current", "latency", "ready"}},
		{"2 ** 3 + 2 ^ 2", 12, nil},
		{"max(backlog, booked) / min(current, ready)", 40, []string{"backlog", "booked", "current", "ready"}},
		{"1 < latency < 3 ? 1 : 0", 1, []string{"latency"}},
		{"if latency > 2 and not (ready == 0) { 7 } else { 8 }", 7, []string{"latency", "ready"}},
		{"backlog | max(booked)", 120, []string{"backlog", "booked"}},
		{"true ? 1 : 2", 1, nil},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			f, err := formula.Compile(tc.text, names())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.uses, f.Uses()); diff != "" {
				t.Errorf("uses (-want +got):\n%s", diff)
			}
			if got, err := f.Evaluate(values()); err != nil || got != tc.want {
				t.Errorf("%v, %v, want %v", got, err, tc.want)
			}
		})
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		want bool
	}{
		{"backlog > 100", false},
		{"backlog > 10 && latency <= 2.5", true},
		{"backlog > 100 or not (current < ready)", true},
		{"latency != 2.5", false},
		{"!(backlog / 2 == 45)", false},
		{"false", false},
		{"latency > 2 ? ready < current : false", true},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			c, err := formula.CompileCondition(tc.text, names())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := c.Holds(values()); err != nil || got != tc.want {
				t.Errorf("%v, %v, want %v", got, err, tc.want)
			}
		})
	}
	c, err := formula.CompileCondition("ready < current and backlog > 1", names())
	if diff := cmp.Diff([]string{"backlog", "current", "ready"}, c.Uses()); err != nil || diff != "" {
		t.Errorf("%v, uses (-want +got):\n%s", err, diff)
	}
}

func TestCompileRejects(t *testing.T) {
	t.Parallel()
	all := "backlog, booked, latency, need.backlog, need.booked, current, ready"
	for _, tc := range []struct{ text, want string }{
		{"backlgo", "unknown name backlgo at 1:1, want one of " + all + "; did you mean backlog?"},
		{"1 +\n  need.bookd", "unknown name need.bookd at 2:3, want one of " + all + "; did you mean need.booked?"},
		{"speed * 2", "unknown name speed at 1:1, want one of " + all},
		{"a + min(b, backlog < 1)", "unknown name a at 1:1, want one of " + all + "; unknown name b at 1:9, want one of " + all + "; a condition at 1:20, want a number"},
		{"need + 1", "need without a signal at 1:1, want the need of one, such as need.NAME"},
		{"need", "need without a signal at 1:1, want the need of one, such as need.NAME"},
		{"backlog.value", "unknown name backlog.value"},
		{"(1).value", "want a dot only in the need of a signal, such as need.NAME"},
		{"", "empty, want an expression such as ceil(backlog / 20)"},
		{" \n", "empty, want an expression"},
		{"1 +", "unexpected token EOF at 1:3"},
		{"backlog > 2", "a condition at 1:9, want a number"},
		{"backlog > true", "a condition at 1:11, want a number"},
		{"backlog and 2", "a number at 1:1, want a condition"},
		{"latency ? 1 : 2", "a number at 1:1, want a condition"},
		{"latency > 1 ? 1 : false", "a condition at 1:19, want a number"},
		{"not backlog", "a number at 1:5, want a condition"},
		{"round(backlog)", "unknown function round at 1:1, want one of min, max, ceil, floor, abs"},
		{"cell(backlog)", "unknown function cell at 1:1, want one of min, max, ceil, floor, abs; did you mean ceil?"},
		{"ceil(1, 2)", "ceil of 2 numbers at 1:1, want one"},
		{"max()", "max of nothing at 1:1, want one number or more"},
		{"max(backlog > 1)", "a condition at 1:13, want a number"},
		{"max([1, 2])", "no part of a formula at 1:5, want numbers, names, operators and functions alone"},
		{"'text'", "no part of a formula at 1:1, want numbers, names, operators and functions alone"},
		{"nil", "no part of a formula at 1:1, want numbers, names, operators and functions alone"},
		{"backlog % 2", "unknown operator % at 1:9, want + - * / ** < > <= >= == != and or not or ?:"},
		{"backlog ?? 2", "unknown operator ??"},
		{"1..1000000", "unknown operator .."},
		{"let x = 1; x", "want numbers, names, operators and functions alone"},
		{"sum(1..9, # * 2)", "unknown function sum at 1:1, want one of"},
		{"backlog; 1", "want numbers, names, operators and functions alone"},
		{"{a: 1}.a", "want a dot only in the need"},
		{"$env", "unknown name $env"},
		{strings.Repeat("1+", 512) + "1", "1025 bytes long, want at most 1024"},
		{strings.Repeat("1+", 510) + "1", "exceeds maximum allowed nodes"},
	} {
		t.Run(tc.text, func(t *testing.T) {
			t.Parallel()
			_, err := formula.Compile(tc.text, names())
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want %q in one line", fmt.Sprint(err), tc.want)
			}
		})
	}
	for _, text := range []string{"backlog", "backlgo > 1", strings.Repeat("1+", 510) + "1 > 0"} {
		if _, err := formula.CompileCondition(text, names()); err == nil {
			t.Errorf("%q is a condition", text)
		}
	}
}

func TestResultsAreFinite(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"1 / 0", "0 / 0", "backlog / (ready - 3)", "(0 - 1) ** 0.5", "1e308 * 10", "-1e308 * 10", "2 ** 1e10",
		// Neither would show in the result.
		"min(5, backlog / 0)", "backlog / 0 > 2 ? 1 : 2",
	} {
		f, err := formula.Compile(text, names())
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := f.Evaluate(values()); !errors.Is(err, formula.ErrNotFinite) || got != 0 {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	c, err := formula.CompileCondition("backlog / (ready - 3) > 2", names())
	if err != nil {
		t.Fatal(err)
	}
	if holds, err := c.Holds(values()); holds || !errors.Is(err, formula.ErrNotFinite) || err.Error() != "evaluate: not a finite number at 1:9" {
		t.Errorf("a division by zero holds %t, %v", holds, err)
	}
}

func TestValuesAreKnown(t *testing.T) {
	t.Parallel()
	f, err := formula.Compile("backlog + 1", names())
	if err != nil {
		t.Fatal(err)
	}
	c, err := formula.CompileCondition("backlog > 1", names())
	if err != nil {
		t.Fatal(err)
	}
	for name, given := range map[string]formula.Values{
		"evaluate: backlog has no value":                 {"booked": 1},
		"evaluate: backlog is NaN: not a finite number":  {"backlog": math.NaN()},
		"evaluate: backlog is +Inf: not a finite number": {"backlog": math.Inf(1)},
	} {
		if _, err := f.Evaluate(given); err == nil || err.Error() != name {
			t.Errorf("formula: error %v, want %q", err, name)
		}
		if _, err := c.Holds(given); err == nil || err.Error() != name {
			t.Errorf("condition: error %v, want %q", err, name)
		}
	}
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"backlog": "", "dbLoad": "", "p99": "", "len": "",
		"need": "has a meaning in formulas", "current": "has a meaning", "ready": "has a meaning", "max": "has a meaning",
		"not": "no word of formulas such as not", "true": "no word of formulas", "nil": "no word", "in": "no word", "let": "no word", "if": "no word",
		"": "want up to 32 letters", "a b": "want up to 32", "a-b": "want up to 32", "1a": "want up to 32", "a.b": "want up to 32", "7": "want up to 32",
		strings.Repeat("a", 33): "want up to 32 letters",
	} {
		err := formula.CheckName(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("CheckName(%q) = %v, want %q", name, err, want)
		}
	}
}

// TestEvaluatesAsGo compares sums and products with those of Go.
func TestEvaluatesAsGo(t *testing.T) {
	t.Parallel()
	f, err := formula.Compile("max(a * 2, b) - abs(a - b) / 4 + (a < b ? 1 : 0)", []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64Range(-1e9, 1e9).Draw(t, "a"), rapid.Float64Range(-1e9, 1e9).Draw(t, "b")
		want := max(a*2, b) - math.Abs(a-b)/4
		if a < b {
			want++
		}
		if got, err := f.Evaluate(formula.Values{"a": a, "b": b}); err != nil || got != want {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	})
}

// FuzzCompile finds texts on which compiling or evaluating panics, or whose result is not
// finite.
func FuzzCompile(f *testing.F) {
	for _, text := range []string{
		"max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)", "1..9", "((((", "a?.b", "backlog | max(1)", "let a = 1; a", "0x1p-2",
		"sum([1], #)", "1e999", "not not true ? 1 : 2", "ready ** -ready", "need[need.backlog]", "\"\\u12\"",
	} {
		f.Add(text, 1.0)
	}
	f.Fuzz(func(t *testing.T, text string, backlog float64) {
		given := values()
		given["backlog"] = backlog
		if compiled, err := formula.Compile(text, names()); err == nil {
			if got, err := compiled.Evaluate(given); err == nil && (math.IsNaN(got) || math.IsInf(got, 0)) {
				t.Fatalf("%q is %v", text, got)
			}
		}
		if condition, err := formula.CompileCondition(text, names()); err == nil {
			if holds, err := condition.Holds(given); err != nil && holds {
				t.Fatalf("%q holds and fails: %v", text, err)
			}
		}
	})
}

func BenchmarkEvaluate(b *testing.B) {
	f, err := formula.Compile("max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)", names())
	if err != nil {
		b.Fatal(err)
	}
	given := values()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Evaluate(given); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := formula.Compile("max(need.backlog, need.booked) * (latency > 2 ? 1.5 : 1)", names()); err != nil {
			b.Fatal(err)
		}
	}
}
