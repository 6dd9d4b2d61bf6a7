package image

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// checkLicenses holds the files of /licenses to the binaries as the build stage makes them:
// each module that a binary says it was built from, and Go, has its licence there.
func checkLicenses(t *testing.T, folder string) {
	t.Helper()
	for _, name := range binaries() {
		info, err := buildinfo.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "licenses", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if !licensed(string(text), "Go, its runtime and standard library") {
			t.Errorf("%s has no licence of Go", name)
		}
		if len(info.Deps) == 0 {
			t.Errorf("%s says that it was built from no modules", name)
		}
		for _, module := range info.Deps {
			if !licensed(string(text), module.Path+" "+module.Version) {
				t.Errorf("%s was built from %s %s, whose licence is not in licenses/%s.txt; make generate writes it", name, module.Path, module.Version, name)
			}
		}
	}
}

// licensed reports whether a file of licences has a text, of more than some words, below the
// name of a component.
func licensed(text, component string) bool {
	heading := regexp.MustCompile(`(?m)^=+\n` + regexp.QuoteMeta(component) + `\n.+\n=+\n`)
	place := heading.FindStringIndex(text)
	if place == nil {
		return false
	}
	// A licence may underline its own headings, with shorter lines.
	licence, _, _ := strings.Cut(text[place[1]:], "\n"+strings.Repeat("=", 80)+"\n")
	return len(strings.Fields(licence)) > 50
}
