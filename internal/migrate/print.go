package migrate

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// JSON writes the report as JSON.
func (r *Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Text writes the report with a line for each finding, which begins with its place.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	for _, o := range r.Objects {
		for _, f := range o.Findings {
			fmt.Fprintf(&b, "%s:%d: %s: %s/%s: %s\n", o.File, f.Line, f.Level, o.Namespace, o.Name, f.Text)
		}
		for _, t := range o.Triggers {
			where := fmt.Sprintf("%s:%d: ", o.File, t.Line)
			switch t.Outcome {
			case outcomeCarried:
				fmt.Fprintf(&b, "%scarried: %s/%s trigger %d: %s -> %s\n", where, o.Namespace, o.Name, t.Index, t.Old, t.New)
				if t.NewMetric != "" && t.OldMetric != "" {
					fmt.Fprintf(&b, "%smetric: %s is %s now, in dashboards and alerts too\n", where, t.OldMetric, t.NewMetric)
				}
			case outcomeLeft:
				fmt.Fprintf(&b, "%sleft: %s/%s trigger %d: %s stays as it is\n", where, o.Namespace, o.Name, t.Index, t.Type)
			default:
			}
			for _, f := range t.Findings {
				line := f.Line
				if line == 0 {
					line = t.Line
				}
				fmt.Fprintf(&b, "%s:%d: %s: %s\n", o.File, line, f.Level, withKey(f))
			}
		}
	}
	r.secretsText(&b, "")
	b.WriteString(r.Summary() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// withKey is the text of a finding with its key in front, unless the text begins with it.
func withKey(f builtin.Finding) string {
	if f.Key == "" || strings.HasPrefix(f.Text, f.Key+" ") {
		return f.Text
	}
	return f.Key + ": " + f.Text
}

// Summary is the counts in a sentence.
func (r *Report) Summary() string {
	c := r.Counts
	text := fmt.Sprintf("%s, %s carried, %d left, %d of other systems, %d external already", plural(c.Objects, "object"), plural(c.Carried, "trigger"), c.Left, c.Other, c.External)
	text += fmt.Sprintf("; %s untouched; %s, %s cannot be carried, %s", plural(c.Untouched, "object"), plural(c.Gaps, "gap"), plural(c.Cannot, "thing"), plural(c.Changed, "change"))
	return text
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// secretsText writes how the scaler gets the Secrets: never their values.
func (r *Report) secretsText(b *strings.Builder, prefix string) {
	for _, s := range r.Secrets {
		fmt.Fprintf(b, "%ssecret: %s/%s (%s): copy it into the namespace of the scaler as %s, and add to the values of the chart: secrets: [{name: %s, secretName: %s}]\n",
			prefix, s.Namespace, s.Name, strings.Join(s.Keys, ", "), s.Copy, s.Copy, s.Copy)
	}
}

// Markdown writes the report as a document.
func (r *Report) Markdown(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Migration\n\n" + r.Summary() + ".\n")
	for _, o := range r.Objects {
		fmt.Fprintf(&b, "\n## %s %s/%s\n\n%s:%d\n", o.Kind, escape(o.Namespace), escape(o.Name), escape(o.File), o.Line)
		if len(o.Findings) > 0 {
			b.WriteString("\n")
		}
		for _, f := range o.Findings {
			fmt.Fprintf(&b, "- **%s**: %s\n", f.Level, escape(f.Text))
		}
		for _, t := range o.Triggers {
			fmt.Fprintf(&b, "\n### Trigger %d: %s, %s\n\n", t.Index, escape(t.Type), t.Outcome)
			if t.Outcome == outcomeCarried {
				fmt.Fprintf(&b, "| | |\n| --- | --- |\n| before | %s |\n| after | %s |\n| metric before | %s |\n| metric after | %s |\n\n",
					escape(t.Old), escape(t.New), escape(t.OldMetric), escape(t.NewMetric))
			}
			for _, f := range t.Findings {
				place := ""
				if f.Line > 0 {
					place = fmt.Sprintf(" (line %d)", f.Line)
				}
				fmt.Fprintf(&b, "- **%s**%s: %s\n", f.Level, place, escape(withKey(f)))
			}
		}
	}
	if len(r.Connections) > 0 {
		b.WriteString("\n## Connections\n\n| name | engine | namespaces | triggers |\n| --- | --- | --- | --- |\n")
		for _, k := range r.Connections {
			fmt.Fprintf(&b, "| %s | %s | %s | %d |\n", k.Name, k.Engine, escape(strings.Join(k.Namespaces, ", ")), k.Triggers)
		}
	}
	if len(r.Secrets) > 0 {
		b.WriteString("\n## Secrets\n\n")
		r.secretsText(&b, "- ")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// escape returns a text as Markdown shows it.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`, "#", `\#`).Replace(text)
}
