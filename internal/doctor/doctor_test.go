package doctor_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
)

// TestHealthy: a cluster in which each check has something to judge, and none finds anything.
func TestHealthy(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	if lines := p.findings(); len(lines) > 0 {
		t.Errorf("a healthy cluster has the findings\n%s", strings.Join(lines, "\n"))
	}
	if err := doctor.Examine(&p.Facts).Verdict(doctor.Info); err != nil {
		t.Errorf("the verdict on a healthy cluster is %v", err)
	}
}

// codeOf returns the code at the beginning of the name of a case.
func codeOf(trap *trapCase) string {
	code, _, _ := strings.Cut(trap.name, " ")
	return code
}

// TestTraps: each trap is found, with all that a user needs, and nothing else is. The golden file has what
// is printed.
func TestTraps(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	found := map[string]bool{}
	for _, trap := range traps() {
		p, code := healthy(t), codeOf(&trap)
		trap.set(p)
		lines := p.findings()
		all.WriteString("# " + trap.name + "\n" + strings.Join(lines, "\n") + "\n\n")
		for _, line := range lines {
			switch {
			case strings.Contains(line, " "+code+" "):
				found[trap.name], found[code] = true, true
			case !slices.ContainsFunc(trap.also, func(also string) bool { return strings.Contains(line, also) }):
				t.Errorf("%s: there is another finding:\n%s", trap.name, line)
			}
		}
		if !found[trap.name] {
			t.Errorf("%s: it is not among the findings\n%s", trap.name, strings.Join(lines, "\n"))
		}
	}
	for _, code := range doctor.Codes() {
		if !found[code] {
			t.Errorf("no trap has the code %s", code)
		}
	}
	golden(t, "traps.golden", []byte(all.String()))
}

// TestSilent: what looks like a trap and is none finds nothing.
func TestSilent(t *testing.T) {
	t.Parallel()
	for _, fine := range silent() {
		t.Run(fine.name, func(t *testing.T) {
			t.Parallel()
			p := healthy(t)
			fine.set(p)
			if lines := p.findings(); len(lines) > 0 {
				t.Errorf("the findings are\n%s", strings.Join(lines, "\n"))
			}
		})
	}
}

// TestUndecided: a check that cannot be decided says so, and raises no alarm.
func TestUndecided(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, open := range undecided() {
		p := healthy(t)
		open.set(p)
		lines := p.findings()
		all.WriteString("# " + open.name + "\n" + strings.Join(lines, "\n") + "\n\n")
		for _, line := range lines {
			if !strings.HasPrefix(line, "skipped ") && !strings.HasPrefix(line, "info ") {
				t.Errorf("%s: it is an alarm:\n%s", open.name, line)
			}
		}
		if len(lines) == 0 {
			t.Errorf("%s: nothing says that it was not decided", open.name)
		}
	}
	golden(t, "undecided.golden", []byte(all.String()))
}

// TestOffline: each check that works on manifests is marked so, and finds the same in them.
func TestOffline(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, trap := range traps() {
		p := healthy(t)
		p.set("Deployment shop/billing", "spec.replicas", "")
		p.set("Deployment shop/frontdesk", "spec.replicas", "")
		trap.set(p)
		p.offline()
		for _, line := range p.findings() {
			if severity, rest, _ := strings.Cut(line, " "); severity != "skipped" && strings.HasPrefix(rest, codeOf(&trap)+" ") {
				found[codeOf(&trap)] = true
			}
		}
	}
	for _, check := range doctor.Checks() {
		if found[check.Code] != check.Offline {
			t.Errorf("%s: found in manifests: %v, marked: %v", check.Code, found[check.Code], check.Offline)
		}
	}
}

// TestIgnored: an annotation with a reason takes a finding out of the verdict, and it is counted.
func TestIgnored(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for _, ignored := range ignores() {
		p := healthy(t)
		ignored.set(p)
		all.WriteString("# " + ignored.name + "\n" + strings.Join(p.findings(), "\n") + "\n\n")
		report := doctor.Examine(&p.Facts)
		if found, n := report.Count(); n != 1 || len(found) > 0 {
			t.Errorf("%s: %d are ignored, and there are %v", ignored.name, n, found)
		}
		if err := report.Verdict(doctor.Info); err != nil {
			t.Errorf("%s: the verdict is %v", ignored.name, err)
		}
	}
	golden(t, "ignored.golden", []byte(all.String()))
}

// TestCatalogue: codes are stable in form and unique, and each check says everything.
func TestCatalogue(t *testing.T) {
	t.Parallel()
	codes := doctor.Codes()
	form := regexp.MustCompile(`^[KSWBRPD][1-9]\d{2}$`)
	for i, check := range doctor.Checks() {
		if !form.MatchString(check.Code) || slices.Index(codes, check.Code) != i || check.Category() == "" {
			t.Errorf("the code %q of %q is not one letter and three digits, or is there twice", check.Code, check.Title)
		}
		for what, text := range map[string]string{"why": check.Why, "change": check.Change} {
			if !strings.HasSuffix(text, ".") {
				t.Errorf("%s: %s %q: want sentences", check.Code, what, text)
			}
		}
		if check.Title == "" || strings.HasSuffix(check.Title, ".") || check.Severity.String() == "ok" {
			t.Errorf("%s: title %q, severity %v", check.Code, check.Title, check.Severity)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	result := func(s doctor.Severity, ignored string) []doctor.Result {
		return []doctor.Result{{Check: &doctor.Check{}, Findings: []doctor.Finding{{Severity: s, Ignored: ignored}}}}
	}
	for name, c := range map[string]struct {
		report    doctor.Report
		threshold doctor.Severity
		want      error
	}{
		"nothing":               {doctor.Report{}, doctor.Warning, nil},
		"a remark":              {doctor.Report{Results: result(doctor.Info, "")}, doctor.Warning, nil},
		"a warning":             {doctor.Report{Results: result(doctor.Warning, "")}, doctor.Warning, doctor.ErrFound},
		"below the threshold":   {doctor.Report{Results: result(doctor.Warning, "")}, doctor.Error, nil},
		"ignored":               {doctor.Report{Results: result(doctor.Error, "meant")}, doctor.Warning, nil},
		"all skipped":           {doctor.Report{Results: []doctor.Result{{Check: &doctor.Check{}, Skipped: []string{"no right"}}}}, doctor.Warning, doctor.ErrIncomplete},
		"incomplete":            {doctor.Report{Incomplete: []string{"list pods: timeout"}}, doctor.Warning, doctor.ErrIncomplete},
		"incomplete, and found": {doctor.Report{Results: result(doctor.Error, ""), Incomplete: []string{"list pods: timeout"}}, doctor.Warning, doctor.ErrFound},
	} {
		if got := c.report.Verdict(c.threshold); !errors.Is(got, c.want) {
			t.Errorf("%s: the verdict is %v, want %v", name, got, c.want)
		}
	}
}
