package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
	"github.com/backlog-scaler/backlog-scaler/internal/migrate/manifest"
)

// two has two triggers, comments and blank lines.
const two = `# the workers
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: mailer   # its name

spec:
  triggers:
    # first
    - type: redis
      metadata:
        listName: a # the queue

        address: redis:1
    # second

    - type: cron
      metadata: {}

  # the end
  maxReplicaCount: 3
`

// scaled returns the only ScaledObject of a text.
func scaled(t *testing.T, text string) *manifest.Scaled {
	t.Helper()
	objects, err := manifest.Parse("a.yaml", []byte(text))
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects: %v", len(objects), err)
	}
	s, ok := objects[0].Scaled()
	if !ok {
		t.Fatal("no ScaledObject")
	}
	return s
}

// change is the change of the first trigger.
func change() []manifest.Change {
	return []manifest.Change{{Index: 0, Type: "external", Comment: "redis", Keys: []builtin.Pair{{Key: "list", Value: "a", Was: "listName"}, {Key: "target", Value: "5"}}}}
}

// changed is two with that change.
const changed = `# the workers
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: mailer   # its name

spec:
  triggers:
    # first
    - type: external # was: redis (scaler migrate)
      metadata:
        list: a # the queue
        target: "5"
    # second

    - type: cron
      metadata: {}

  # the end
  maxReplicaCount: 3
`

// TestWrite: everything but the trigger stays, whatever ends the lines.
func TestWrite(t *testing.T) {
	t.Parallel()
	windows := func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
	for name, tc := range map[string][2]string{
		"unix":             {two, changed},
		"windows":          {windows(two), windows(changed)},
		"byte order mark":  {"\ufeff" + two, changed},
		"no end of a line": {strings.TrimSuffix(two, "\n"), strings.TrimSuffix(changed, "\n")},
		"end of document":  {two + "...\n", changed + "...\n"},
		"last": {
			"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec:\n  triggers:\n  - type: redis\n    metadata:\n      listName: a",
			"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec:\n  triggers:\n  - type: external # was: redis (scaler migrate)\n    metadata:\n      list: a\n      target: \"5\"\n",
		},
		"yes": {
			"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nstatus: {}\nspec:\n  paused: yes\n  mode: 0123\n  triggers:\n  - {type: redis, metadata: {listName: a}}\n",
			"apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nspec:\n  paused: yes\n  mode: 0123\n  triggers:\n    - {type: external, metadata: {list: a, target: \"5\"}} # was: redis (scaler migrate)\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := scaled(t, tc[0]).Write(change())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc[1], got); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParse: what is not read, and why.
func TestParse(t *testing.T) {
	t.Parallel()
	var bombs strings.Builder
	bombs.WriteString("a: &a [x,x,x,x,x,x,x,x,x,x]\n")
	for _, l := range "bcdefgh" {
		fmt.Fprintf(&bombs, "%c: &%c [%s*%c]\n", l, l, strings.Repeat("*"+string(l-1)+",", 9), l-1)
	}
	for name, tc := range map[string]struct {
		text, want string
		objects    int
	}{
		"empty":            {"", "", 0},
		"empty documents":  {"---\n---\n# nothing\n---\nkind: A\n---\n", "", 1},
		"marker in a text": {"kind: A\ntext: |\n  a\n  --- b\n", "", 1},
		"a list":           {"kind: List\nitems: [{kind: A}, {kind: B}, {kind: CList, items: [{kind: D}]}]\n", "", 2},
		"itself":           {"&a\nkind: List\nitems: [*a]\n", "too deep", 0},
		"bomb":             {bombs.String(), "too many values", 0},
		"deep":             {"a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300), "too deep", 0},
		"two keys":         {"a: 1\nb: {c: 1,\n  c: 2}\n", `a.yaml:3: the key "c" is given twice, first in line 2`, 0},
		"second document":  {"kind: A\n---\na: {b: 1, b: 2}\n", `a.yaml:3: the key "b"`, 1},
		"not UTF-8":        {"a: \xff", "a.yaml", 0},
		"unknown anchor":   {"password: *hunter2\n", `a "*" begins an alias`, 0},
		"a template":       {"name: {{ .Values.x }}\n  b: [\n", "this is a template", 0},
		"a number":         {"7\n", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects, err := manifest.Parse("a.yaml", []byte(tc.text))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if len(objects) != tc.objects || (tc.want == "") != (err == nil) || !strings.Contains(text, tc.want) || strings.Contains(text, "hunter2") {
				t.Errorf("%d objects, want %d; error %q, want %q", len(objects), tc.objects, text, tc.want)
			}
		})
	}
}

// TestSecretsAreNotRead: of a Secret the names of its keys are known, and nothing else.
func TestSecretsAreNotRead(t *testing.T) {
	t.Parallel()
	objects, err := manifest.Parse("a.yaml", []byte("apiVersion: v1\nkind: Secret\ndata: {password: aHVudGVyMg==}\nstringData: {user: app}\n"))
	if err != nil {
		t.Fatal(err)
	}
	keys, is := objects[0].SecretKeys()
	if diff := cmp.Diff([]string{"password", "user"}, keys); !is || diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if objects[0].Data() != nil {
		t.Errorf("data of a Secret: %v", objects[0].Data())
	}
}
