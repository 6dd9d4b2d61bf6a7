package reference

import (
	"fmt"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
)

// Checks returns a section for each check of scaler doctor, by category.
func Checks(checks []doctor.Check) string {
	var b strings.Builder
	category := ""
	for i := range checks {
		check := &checks[i]
		if c := check.Category(); c != category {
			category = c
			fmt.Fprintf(&b, "### %s\n\n", category)
		}
		where := "a cluster"
		if check.Offline {
			where = "manifests and a cluster"
		}
		t := table{
			{code(check.Code), cell(check.Title)},
			{"worst severity", check.Severity.String()},
			{"found in", where},
			{"why it hurts", cell(check.Why)},
			{"what to change", cell(check.Change)},
		}
		if len(check.Evidence) > 0 {
			t = append(t, []string{"seen in", evidence(check.Evidence)})
		}
		fmt.Fprintf(&b, "#### %s\n\n%s\n", check.Code, t)
	}
	return b.String()
}

// evidence returns links to issues such as kedacore/keda#7116, and to code.
func evidence(places []string) string {
	links := make([]string, len(places))
	for i, place := range places {
		repository, issue, found := strings.Cut(place, "#")
		switch {
		case strings.HasPrefix(place, "https://"):
			links[i] = fmt.Sprintf("[%s](%s)", place[strings.LastIndexByte(place, '/')+1:], place)
		case found:
			links[i] = fmt.Sprintf("[%s](https://github.com/%s/issues/%s)", place, repository, issue)
		default:
			links[i] = place
		}
	}
	return strings.Join(links, ", ")
}
