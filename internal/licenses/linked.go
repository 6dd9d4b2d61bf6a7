// Package licenses collects the licences of everything that is linked into a program: the
// files of /licenses in the image. Its tests hold those files to what the programs link.
package licenses

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:generate go test -count=1 -run ^TestFiles$ . -update

// A Component is a module that is linked into a program, or Go itself.
type Component struct {
	// Path and Version name it, such as "google.golang.org/grpc" and "v1.85.0".
	Path, Version string
	Texts         []Text
}

// A Text is a file of a component that says on what terms it may be used.
type Text struct {
	// File is its path in the component, with slashes.
	File string
	Text string
}

// A goPackage is what go list says of a package.
type goPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// platforms are those of the image. What is linked may differ.
func platforms() []string { return []string{"amd64", "arm64"} }

// Linked returns what is linked into a program, on all platforms together: first Go, then
// the modules by their paths. dir is a folder of the module that builds it.
func Linked(ctx context.Context, dir, program string) ([]Component, error) {
	all := map[string]*Component{}
	for _, platform := range platforms() {
		packages, err := list(ctx, dir, program, platform)
		if err != nil {
			return nil, err
		}
		for _, p := range packages {
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			c := all[p.Module.Path]
			if c == nil {
				c = &Component{Path: p.Module.Path, Version: p.Module.Version}
				all[c.Path] = c
			}
			if err := c.collect(p.Module.Dir, p.Dir); err != nil {
				return nil, err
			}
		}
	}
	golang, err := toolchain(ctx, dir)
	if err != nil {
		return nil, err
	}
	components := []Component{golang}
	for _, c := range all {
		slices.SortFunc(c.Texts, func(a, b Text) int { return strings.Compare(a.File, b.File) })
		components = append(components, *c)
	}
	slices.SortFunc(components[1:], func(a, b Component) int { return strings.Compare(a.Path, b.Path) })
	return components, nil
}

// list returns the packages of a program for Linux.
func list(ctx context.Context, dir, program, platform string) ([]goPackage, error) {
	output, err := goCommand(ctx, dir, []string{"GOOS=linux", "GOARCH=" + platform, "CGO_ENABLED=0"},
		"list", "-deps", "-json=Dir,Standard,Module", program)
	if err != nil {
		return nil, err
	}
	var packages []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the list of %s: %w", program, err)
		}
		packages = append(packages, p)
	}
}

// toolchain is Go itself: its runtime and its standard library are in every program. Its
// version is left out, because the licence is the same and a patch release is no change.
func toolchain(ctx context.Context, dir string) (Component, error) {
	root, err := goCommand(ctx, dir, nil, "env", "GOROOT")
	if err != nil {
		return Component{}, err
	}
	c := Component{Path: "Go, its runtime and standard library"}
	err = c.read(strings.TrimSpace(string(root)), ".")
	return c, err
}

// collect adds the texts in the folder of a package and in those above it, up to the root of
// its module: code that was taken from elsewhere has its licence next to it.
func (c *Component) collect(root, dir string) error {
	below, err := filepath.Rel(root, dir)
	if err != nil {
		return fmt.Errorf("find the licences of %s: %w", c.Path, err)
	}
	for {
		if err := c.read(root, below); err != nil {
			return err
		}
		if below == "." {
			return nil
		}
		below = filepath.Dir(below)
	}
}

// read adds the texts of one folder that are not there yet.
func (c *Component) read(root, below string) error {
	entries, err := os.ReadDir(filepath.Join(root, below))
	if err != nil {
		return fmt.Errorf("find the licences of %s: %w", c.Path, err)
	}
	for _, entry := range entries {
		file := filepath.ToSlash(filepath.Join(below, entry.Name()))
		known := slices.ContainsFunc(c.Texts, func(t Text) bool { return t.File == file })
		if known || !entry.Type().IsRegular() || !isLicence(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, below, entry.Name())) //nolint:gosec // a file of a module
		if err != nil {
			return fmt.Errorf("read the licence of %s: %w", c.Path, err)
		}
		c.Texts = append(c.Texts, Text{File: file, Text: string(text)})
	}
	return nil
}

// isLicence reports whether a file has the name of a licence or of what has to go with it.
func isLicence(name string) bool {
	if slices.Contains([]string{".go", ".proto", ".py", ".sh"}, filepath.Ext(name)) {
		return false
	}
	upper := strings.ToUpper(name)
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "PATENTS", "UNLICENSE"}, func(word string) bool {
		return strings.HasPrefix(upper, word)
	})
}

// goCommand runs the go command and returns what it prints.
func goCommand(ctx context.Context, dir string, environment []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...) //nolint:gosec // arguments of this package
	cmd.Dir = dir
	cmd.Env = append(cmd.Environ(), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return output, nil
}
