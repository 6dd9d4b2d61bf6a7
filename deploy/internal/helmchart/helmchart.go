// Package helmchart renders a Helm chart in process, as `helm template` does.
package helmchart

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Release and Namespace are the release that every rendering pretends to be.
const (
	Release   = "backlog-scaler"
	Namespace = "backlog-scaler"
)

// A Chart is a chart on disk.
type Chart struct {
	chart *chart.Chart
}

// Load reads the chart in folder.
func Load(folder string) (*Chart, error) {
	c, err := loader.LoadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("load chart %q: %w", folder, err)
	}
	return &Chart{chart: c}, nil
}

// KubeVersion is the range of Kubernetes versions that the chart asks for.
func (c *Chart) KubeVersion() string { return c.chart.Metadata.KubeVersion }

// Values returns the chart's own values.
func (c *Chart) Values() map[string]any { return c.chart.Values }

// Schema returns the chart's values.schema.json.
func (c *Chart) Schema() []byte { return c.chart.Schema }

// Rendered is what one set of values becomes.
type Rendered struct {
	// Manifest is all objects, in the order of their files, each below the name of its file.
	Manifest string
	// Notes is NOTES.txt.
	Notes string
	// Objects are the objects of Manifest, in its order.
	Objects []Object
}

// An Object is one Kubernetes object.
type Object struct {
	// File is the template that made it.
	File string
	// YAML is its text.
	YAML []byte
	// Content is the parsed text.
	Content map[string]any
}

// Kind returns the object's kind.
func (o Object) Kind() string {
	kind, _ := o.Content["kind"].(string)
	return kind
}

// Name returns the object's name.
func (o Object) Name() string {
	metadata, _ := o.Content["metadata"].(map[string]any)
	name, _ := metadata["name"].(string)
	return name
}

// Find returns the only object of a kind.
func (r Rendered) Find(kind string) (Object, error) {
	var found []Object
	for _, o := range r.Objects {
		if o.Kind() == kind {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		return Object{}, fmt.Errorf("find %s: got %d objects, want 1", kind, len(found))
	}
	return found[0], nil
}

// Render merges values into the chart's own, checks them against its schema and
// renders it. A key that a template misses is an error.
func (c *Chart) Render(values map[string]any) (Rendered, error) {
	options := chartutil.ReleaseOptions{Name: Release, Namespace: Namespace, Revision: 1, IsInstall: true}
	merged, err := chartutil.ToRenderValues(c.chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return Rendered{}, fmt.Errorf("check values: %w", err)
	}
	files, err := engine.Engine{Strict: true}.Render(c.chart, merged)
	if err != nil {
		return Rendered{}, fmt.Errorf("render chart: %w", err)
	}
	var r Rendered
	var manifest strings.Builder
	for _, file := range slices.Sorted(maps.Keys(files)) {
		text := files[file]
		base := path.Base(file)
		switch {
		case base == "NOTES.txt":
			r.Notes = text
		case strings.HasPrefix(base, "_"), strings.TrimSpace(text) == "":
		default:
			objects, err := Objects(base, []byte(text))
			if err != nil {
				return Rendered{}, err
			}
			r.Objects = append(r.Objects, objects...)
			fmt.Fprintf(&manifest, "---\n# %s\n%s\n", base, strings.TrimSpace(text))
		}
	}
	r.Manifest = manifest.String()
	return r, nil
}

// Objects parses a file of YAML documents. A key given twice is an error.
func Objects(file string, data []byte) ([]Object, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	var objects []Object
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		var content map[string]any
		if err := yaml.UnmarshalStrict(document, &content); err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		if len(content) > 0 {
			objects = append(objects, Object{File: file, YAML: document, Content: content})
		}
	}
}
