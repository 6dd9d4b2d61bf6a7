// Command prose checks the words and the width of what the project says in documents, comments,
// messages and charts.
//
// The rules, the folders that they hold for and the exceptions are in the file rules.txt next to it;
// CONTRIBUTING.md gives their reasons. "make lint" runs it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 if the text is clean, 1 if it has findings, 2 if it cannot be checked.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("prose", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "folder of the repository")
	file := flags.String("rules", "tools/prose/rules.txt", "file with the rules")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	findings, err := check(*root, *file, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "prose:", err)
		return 2
	}
	for _, f := range findings {
		fmt.Fprintln(stdout, f)
	}
	if len(findings) > 0 {
		fmt.Fprintf(stderr, "prose: %d findings; CONTRIBUTING.md, \"Words\", has the rules\n", len(findings))
		return 1
	}
	return 0
}

// check applies the rules of a file to the folders that it names, or to those that are given.
func check(root, file string, scope []string) ([]finding, error) {
	source, err := os.ReadFile(file) //nolint:gosec // the caller names the file
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	rules, err := parseRules(string(source))
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	if len(scope) > 0 {
		rules.scope = scope
	}
	return rules.checkTree(os.DirFS(root))
}
