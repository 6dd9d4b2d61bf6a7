package licenses

import (
	"fmt"
	"strings"
)

// rule stands between the components of a file.
const rule = "================================================================================"

// File returns the licences of what is linked into a program, as a text: a list of all
// components with the classes of their licences, then the licences themselves.
func File(program string, components []Component) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Licences of what is linked into %s. The source of a module is at\nhttps://proxy.golang.org/PATH/@v/VERSION.zip.\n\n", program)
	for _, c := range components {
		fmt.Fprintf(&b, "  %s: %s\n", c.name(), strings.Join(c.Classes(), ", "))
	}
	for _, c := range components {
		for _, t := range c.Texts {
			fmt.Fprintf(&b, "\n%s\n%s\n%s\n%s\n\n%s\n", rule, c.name(), t.File, rule, strings.TrimSpace(plain(t.Text)))
		}
	}
	return b.String()
}

// name is the path and the version.
func (c Component) name() string { return strings.TrimSpace(c.Path + " " + c.Version) }

// plain is text without what editors and git would change: carriage returns, form feeds
// and spaces at the ends of lines.
func plain(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(line, " \t\r\n\f") + "\n")
	}
	return b.String()
}
