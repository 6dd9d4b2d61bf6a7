package licenses

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files of /licenses again")

// root is the folder of the repository.
const root = "../.."

// programs are those of the image and of the archives: the module that builds each, and its package.
func programs() map[string]struct{ module, program string } {
	return map[string]struct{ module, program string }{
		"scaler":            {"", "./cmd/scaler"},
		"kubectl-backlog":   {"", "./cmd/kubectl-backlog"},
		"grpc-health-probe": {"tools/healthprobe", "github.com/grpc-ecosystem/grpc-health-probe"},
	}
}

// TestFiles: the files are current, and each module that is linked has a licence that is
// allowed.
func TestFiles(t *testing.T) {
	t.Parallel()
	for name, p := range programs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			components, err := Linked(t.Context(), filepath.Join(root, p.module), p.program)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range components {
				checkComponent(t, c)
			}
			path := filepath.Join(root, "licenses", name+".txt")
			want := File(name, components)
			if *update {
				if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
				t.Errorf("not as it is linked; make generate writes it again (-want +got):\n%s", diff)
			}
		})
	}
}

func checkComponent(t *testing.T, c Component) {
	t.Helper()
	licensed := false
	for _, text := range c.Texts {
		classes := classify(text.Text)
		licensed = licensed || len(classes) > 0
		if strings.TrimSpace(text.Text) == "" {
			t.Errorf("%s: %s is empty", c.Path, text.File)
		}
		for _, class := range classes {
			if !slices.Contains(Allowed(), class) {
				t.Errorf("%s: %s is %s, which is none of %v", c.Path, text.File, class, Allowed())
			}
		}
		// A licence that is not recognised is not allowed. A notice is no licence.
		name := strings.ToUpper(filepath.Base(text.File))
		if len(classes) == 0 && !strings.HasPrefix(name, "NOTICE") && !strings.HasPrefix(name, "PATENTS") {
			t.Errorf("%s: %s is no licence that is known", c.Path, text.File)
		}
	}
	if !licensed {
		t.Errorf("%s %s has no licence among %d files", c.Path, c.Version, len(c.Texts))
	}
}

// TestLinked: what a program certainly links is found, with the licences of what a module
// has from elsewhere.
func TestLinked(t *testing.T) {
	t.Parallel()
	components, err := Linked(t.Context(), root, "./cmd/scaler")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, c := range components {
		got[c.Path] = c.Classes()
	}
	for path, want := range map[string][]string{
		components[0].Path:            {"BSD-3-Clause"}, // Go
		"google.golang.org/grpc":      {"Apache-2.0"},
		"github.com/kedacore/keda/v2": {"Apache-2.0"}, // KEDA's protocol
		"github.com/alecthomas/kong":  {"MIT"},
		"go.yaml.in/yaml/v3":          {"Apache-2.0", "MIT"},
		"google.golang.org/protobuf":  {"BSD-3-Clause"},
	} {
		if diff := cmp.Diff(want, got[path]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	if got["github.com/alicebob/miniredis/v2"] != nil || got["github.com/google/go-cmp"] != nil {
		t.Errorf("what only the demo or tests need is in %v", got)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"Mozilla Public License Version 2.0":                    {"MPL-2.0"},
		"GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007": {"GPL"},
		"GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3":          {"AGPL"},
		"Copyright 2014 The Prometheus Authors":                 nil,
		"Permission to use, copy, modify, and/or distribute this software for any\n" +
			"purpose with or without fee is hereby granted": {"ISC"},
	} {
		if diff := cmp.Diff(want, classify(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}
