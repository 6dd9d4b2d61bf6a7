package keda

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// What Artifact Hub reads: https://artifacthub.io/docs/topics/annotations/helm/
type (
	link struct {
		Name string `yaml:"name"`
		URL  string `yaml:"url"`
	}
	image struct {
		Name      string   `yaml:"name"`
		Image     string   `yaml:"image"`
		Platforms []string `yaml:"platforms"`
	}
	change struct {
		Kind        string `yaml:"kind"`
		Description string `yaml:"description"`
		Links       []link `yaml:"links"`
	}
)

// strict parses text into v. A key that v does not have is an error.
func strict(t *testing.T, name, text string, v any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(v); err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// TestArtifactHub checks the annotations of the chart. Artifact Hub drops what it cannot parse without
// a word.
func TestArtifactHub(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("chart", "Chart.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var chart struct {
		Version     string            `yaml:"version"`
		AppVersion  string            `yaml:"appVersion"`
		Annotations map[string]string `yaml:"annotations"`
	}
	if err := yaml.Unmarshal(data, &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != chart.AppVersion {
		t.Errorf("the chart has version %s, the scaler %s; they are released together", chart.Version, chart.AppVersion)
	}
	for name, text := range chart.Annotations {
		switch short := strings.TrimPrefix(name, "artifacthub.io/"); short {
		case "license", "category", "prerelease", "containsSecurityUpdates":
		case "images":
			var images []image
			strict(t, name, text, &images)
			for _, i := range images {
				if !strings.HasSuffix(i.Image, ":"+chart.AppVersion) || i.Name == "" {
					t.Errorf("%s: %q is not an image of version %s", name, i.Image, chart.AppVersion)
				}
			}
		case "links":
			var links []link
			strict(t, name, text, &links)
			checkLinks(t, name, links)
		case "recommendations":
			var links []link
			strict(t, name, text, &links)
			for _, l := range links {
				if !strings.HasPrefix(l.URL, "https://artifacthub.io/packages/") {
					t.Errorf("%s: %q is no package", name, l.URL)
				}
			}
		case "changes":
			var changes []change
			strict(t, name, text, &changes)
			for _, c := range changes {
				if !slices.Contains([]string{"added", "changed", "deprecated", "removed", "fixed", "security"}, c.Kind) || c.Description == "" {
					t.Errorf("%s: the change %q is of kind %q", name, c.Description, c.Kind)
				}
				checkLinks(t, name, c.Links)
			}
		default:
			t.Errorf("%s is not checked here", name)
		}
	}
}

func checkLinks(t *testing.T, name string, links []link) {
	t.Helper()
	for _, l := range links {
		if u, err := url.Parse(l.URL); err != nil || u.Scheme != "https" || l.Name == "" {
			t.Errorf("%s: %+v is no link with a name", name, l)
		}
	}
}

// TestArtifactHubRepository checks the metadata of the repository.
func TestArtifactHubRepository(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("artifacthub-repo.yml")
	if err != nil {
		t.Fatal(err)
	}
	var repository struct {
		ID     string `yaml:"repositoryID"`
		Ignore []struct {
			Name    string `yaml:"name"`
			Version string `yaml:"version"`
		} `yaml:"ignore"`
	}
	strict(t, "artifacthub-repo.yml", string(data), &repository)
}
