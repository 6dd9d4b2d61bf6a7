package doctor_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/facts"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/manifests"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/object"
	"github.com/backlog-scaler/backlog-scaler/internal/doctor/triggers"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

var update = flag.Bool("update", false, "write the golden files again")

// now is when the doctor examines.
func now() time.Time { return time.Date(2026, time.November, 27, 9, 0, 0, 0, time.UTC) }

// A patient is what a case changes before the doctor examines it.
type patient struct {
	t testing.TB
	facts.Facts
}

// healthy returns a cluster and a scaler without a trap.
func healthy(t testing.TB) *patient {
	t.Helper()
	objects, err := manifests.Read([]string{"testdata/healthy.yaml"}, nil, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for i := range objects { // those of a cluster have no files
		objects[i].File, objects[i].Lines = "", nil
	}
	reading := func() *facts.Reading { return &facts.Reading{Backlog: 4, Ready: 4, Consumers: 3} }
	since := now().Add(-time.Hour)
	p := &patient{t: t, Facts: facts.Facts{
		Now: now(), Online: true, Objects: objects, Unread: map[object.Kind]string{}, Kubernetes: "v1.36.3",
		Scaler: &facts.Scaler{Address: "127.0.0.1:9091", At: now(), Connections: []facts.Connection{{Name: "orders"}}, Triggers: []facts.Running{
			{Namespace: "shop", ScaledObject: "billing", Name: "orders-list-jobs", Connection: "orders", Layout: "list", Queue: "jobs", Reading: reading(), Wanted: 1, WakeUp: "tracking", Streams: 2, Called: true, Since: since},
			{Namespace: "shop", ScaledObject: "frontdesk", Name: "policy-frontdesk", Policy: "frontdesk", Wanted: 1, Streams: 2, Called: true, Since: since},
			{Namespace: "shop", ScaledObject: "thumbnails", Name: "orders-list-images", Connection: "orders", Layout: "list", Queue: "images", Reading: reading(), Called: true, Since: since},
		}},
	}}
	p.configure(backlog.Connection{Name: "orders", Engine: "redis", Namespaces: []string{"shop"}})
	return p
}

// configure gives the scaler connections.
func (p *patient) configure(connections ...backlog.Connection) {
	catalog := trigger.NewCatalog(connections, engines.All())
	p.Connections = nil
	for i := range connections {
		p.Connections = append(p.Connections, connections[i].Name)
	}
	p.Triggers = triggers.New(engines.All(), catalog, connections)
	p.check(catalog)
}

func (p *patient) check(catalog *trigger.Catalog) {
	var err error
	if p.Policies, err = policycheck.New(engines.All(), catalog, "shop"); err != nil {
		p.t.Fatal(err)
	}
}

// unconfigured takes the configuration of the scaler away.
func (p *patient) unconfigured() {
	p.Connections, p.Triggers = nil, triggers.New(engines.All(), nil, nil)
	p.check(nil)
}

// offline makes manifests of the cluster.
func (p *patient) offline() {
	p.Online, p.Scaler, p.Kubernetes = false, nil, ""
}

// object returns an object by its kind, namespace and name.
func (p *patient) object(name string) *object.Object {
	p.t.Helper()
	for i := range p.Objects {
		if p.Objects[i].Place("").String() == name {
			return &p.Objects[i]
		}
	}
	p.t.Fatalf("there is no %s", name)
	return nil
}

// set sets a field of an object, such as spec.triggers[0].type, to a value in YAML. An empty value removes
// it. A path with "|" has those between its keys, which may have dots.
func (p *patient) set(name, path, text string) {
	p.t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		p.t.Fatal(err)
	}
	separators := ".[]"
	if strings.Contains(path, "|") {
		separators = "|"
	}
	var at any = p.object(name).Fields
	steps := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(separators, r) })
	for i, step := range steps {
		at = p.step(at, step, value, i == len(steps)-1)
	}
}

// step returns what is below a key or an index. With last it sets that to the value.
func (p *patient) step(at any, step string, value any, last bool) any {
	p.t.Helper()
	switch container := at.(type) {
	case map[string]any:
		switch {
		case last && value == nil:
			delete(container, step)
		case last:
			container[step] = value
		case container[step] == nil:
			container[step] = map[string]any{}
		}
		return container[step]
	case []any:
		n, err := strconv.Atoi(step)
		if err != nil || n >= len(container) {
			p.t.Fatalf("there is no item %s", step)
		}
		if last {
			container[n] = value
		}
		return container[n]
	default:
		p.t.Fatalf("%T has no %s", at, step)
		return nil
	}
}

// remove takes an object away.
func (p *patient) remove(name string) {
	p.t.Helper()
	p.object(name)
	p.Objects = slices.DeleteFunc(p.Objects, func(o object.Object) bool { return o.Place("").String() == name })
}

// add adds objects in YAML.
func (p *patient) add(text string) {
	p.t.Helper()
	objects, err := manifests.Read([]string{"-"}, strings.NewReader(text), "shop")
	if err != nil || len(objects) == 0 {
		p.t.Fatalf("add %q: %v", text, err)
	}
	for i := range objects {
		objects[i].File, objects[i].Lines = "", nil
	}
	p.Objects = append(p.Objects, objects...)
}

// findings are all findings, and those checks that were skipped, as lines.
func (p *patient) findings() []string {
	report := doctor.Examine(&p.Facts)
	var lines []string
	for i := range report.Results {
		result := &report.Results[i]
		for j := range result.Findings {
			f := &result.Findings[j]
			line := fmt.Sprintf("%s %s %s", f.Severity, f.Code, f.Place)
			if f.Field != "" {
				line += " " + f.Field
			}
			line += "\n  is: " + f.What
			if f.Ignored != "" {
				line += "\n  ignored: " + f.Ignored
			} else if f.Change != result.Change {
				line += "\n  change: " + f.Change
			}
			lines = append(lines, line)
		}
		for _, why := range result.Skipped {
			lines = append(lines, fmt.Sprintf("skipped %s: %s", result.Code, why))
		}
	}
	return lines
}

// golden compares text with a golden file.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(bytes.TrimSpace(got))); diff != "" {
		t.Errorf("%s; -update writes it again (-want +got):\n%s", name, diff)
	}
}
