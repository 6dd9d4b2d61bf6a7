// Package manifests reads objects of Kubernetes from YAML and JSON, with the lines of their fields.
package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
)

// maxFile bounds a file, in bytes. maxObjects bounds the objects of all files. maxDepth bounds how deep
// fields lie whose lines are kept, in levels.
const (
	maxFile    = 16 << 20
	maxObjects = 100_000
	maxDepth   = 100
)

// Read reads files, folders with all files in YAML and JSON below them, and the standard input where a name
// is "-". Objects that name no namespace are in the one that is given. Objects of kinds that no check reads
// are left out. The error is a file that cannot be read or is not YAML; the objects of the others are
// returned next to it.
func Read(names []string, stdin io.Reader, namespace string) ([]object.Object, error) {
	r := reader{namespace: namespace}
	var errs []error
	for _, name := range names {
		errs = append(errs, r.read(name, stdin))
	}
	return r.objects, errors.Join(errs...)
}

type reader struct {
	namespace string
	objects   []object.Object
}

func (r *reader) read(name string, stdin io.Reader) error {
	if name == "-" {
		return r.parse("standard input", stdin)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("read manifests: %w", err)
	case !info.IsDir():
		return r.file(name)
	}
	var errs []error
	err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && path != name:
			return fs.SkipDir
		case entry.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)):
			errs = append(errs, r.file(path))
		}
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("read manifests: %w", err))
	}
	return errors.Join(errs...)
}

func (r *reader) file(name string) error {
	file, err := os.Open(name) //nolint:gosec // the user names it
	if err != nil {
		return fmt.Errorf("read manifests: %w", err)
	}
	defer func() { _ = file.Close() }()
	return r.parse(name, file)
}

func (r *reader) parse(name string, from io.Reader) error {
	data, err := io.ReadAll(io.LimitReader(from, maxFile+1))
	switch {
	case err != nil:
		return fmt.Errorf("read manifests: %s: %w", name, err)
	case len(data) > maxFile:
		return fmt.Errorf("read manifests: %s has more than %d bytes", name, maxFile)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("parse %s: %w", name, err)
		}
		if err := r.add(name, document.Content[0], false); err != nil {
			return fmt.Errorf("parse %s: %w", name, err)
		}
	}
}

// add adds an object, or those of a list of objects. A list has no lists: an alias could make it its own
// item. What is no object, such as the values of a chart, is left out.
func (r *reader) add(name string, node *yaml.Node, listed bool) error {
	var head struct {
		APIVersion string      `yaml:"apiVersion"`
		Kind       string      `yaml:"kind"`
		Items      []yaml.Node `yaml:"items"`
	}
	isObject := node.Kind == yaml.MappingNode && node.Decode(&head) == nil
	if isObject && strings.HasSuffix(head.Kind, "List") && !listed {
		for i := range head.Items {
			if err := r.add(name, &head.Items[i], true); err != nil {
				return err
			}
		}
		return nil
	}
	resource, known := object.KindOf(head.APIVersion, head.Kind)
	if !isObject || !known {
		return nil
	}
	if len(r.objects) == maxObjects {
		return fmt.Errorf("there are more than %d objects", maxObjects)
	}
	var fields map[string]any
	if err := node.Decode(&fields); err != nil {
		return err
	}
	metadata, _ := fields["metadata"].(map[string]any)
	if metadata == nil {
		metadata = map[string]any{}
		fields["metadata"] = metadata
	}
	if metadata["namespace"] == nil && !resource.ClusterWide {
		metadata["namespace"] = r.namespace
	}
	lines := map[string]int{"": node.Line}
	addLines(lines, "", node, 0)
	r.objects = append(r.objects, object.Object{Kind: resource.Kind, Fields: fields, File: name, Lines: lines})
	return nil
}

// addLines adds the line of each field below a node by its path, such as spec.triggers[0].type.
func addLines(lines map[string]int, path string, node *yaml.Node, depth int) {
	if depth == maxDepth {
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			below := node.Content[i].Value
			if path != "" {
				below = path + "." + below
			}
			lines[below] = node.Content[i].Line
			addLines(lines, below, node.Content[i+1], depth+1)
		}
	case yaml.SequenceNode:
		for i, item := range node.Content {
			below := fmt.Sprintf("%s[%d]", path, i)
			lines[below] = item.Line
			addLines(lines, below, item, depth+1)
		}
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
	}
}
