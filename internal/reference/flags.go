package reference

import (
	"errors"
	"regexp"
	"strings"
)

// A Flag is a flag of a command, as its help shows it.
type Flag struct {
	// Name includes the dashes. Value is the default or, in capitals, a placeholder.
	Name, Value string
	// Doc is the help. Variable is the environment variable that sets the flag.
	Doc, Variable string
}

// helpLine matches a line of the help of a command, on a terminal that is wide enough for one
// line a flag.
var helpLine = regexp.MustCompile(`^ +(?:-\w, +)?(--[a-z0-9-]+)(?:=(\S+))? {2,}(.+?)(?: \(\$([A-Z0-9_]+)\))?\.?$`)

var errNoFlags = errors.New("the help has no flags")

// ParseHelp returns the flags in the help of a command.
func ParseHelp(help string) ([]Flag, error) {
	var flags []Flag
	for line := range strings.Lines(help) {
		match := helpLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if len(match) < 5 || match[1] == "--help" {
			continue
		}
		flags = append(flags, Flag{Name: match[1], Value: strings.Trim(match[2], `"`), Doc: match[3] + ".", Variable: match[4]})
	}
	if len(flags) == 0 {
		return nil, errNoFlags
	}
	return flags, nil
}

// Flags returns a table of flags.
func Flags(flags []Flag) string {
	t := table{{"flag", "variable", "default", "meaning"}}
	for _, f := range flags {
		fallback := code(f.Value)
		if f.Value == "" || f.Value == strings.ToUpper(f.Value) && strings.ToLower(f.Value) != f.Value {
			fallback = ""
		}
		t = append(t, []string{code(f.Name), code(f.Variable), fallback, cell(f.Doc)})
	}
	return t.String()
}
