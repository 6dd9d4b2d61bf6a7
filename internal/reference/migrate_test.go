package reference

import (
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// kedaKeys are tables of the keys of KEDA's triggers, and what becomes of them.
func kedaKeys() string {
	var b strings.Builder
	for _, f := range builtin.Families() {
		var types []string
		for _, typ := range f.Types {
			types = append(types, code(typ))
		}
		b.WriteString("\n#### " + strings.Join(types, ", ") + "\n\nEngine " + code(f.Engine) + ".\n\n")
		t := table{{"key", "from", "becomes"}}
		for _, k := range f.Keys {
			t = append(t, []string{code(k.Name), strings.Join(strings.Split(k.From, ""), " "), cell(k.Becomes)})
		}
		b.WriteString(t.String())
	}
	return b.String()
}
