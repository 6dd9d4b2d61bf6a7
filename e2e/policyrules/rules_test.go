// Package policyrules_test compares the check of policies in files with the API server's own code.
package policyrules_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/backlog-scaler/backlog-scaler/e2e/toolchain"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/engines"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck"
	"github.com/backlog-scaler/backlog-scaler/internal/policycheck/policychecktest"
)

// A server checks objects by the code of an API server.
type server struct {
	structural *structuralschema.Structural
	schema     validation.SchemaCreateValidator
	rules      *cel.Validator
}

func newServer(t *testing.T) *server {
	t.Helper()
	root, err := toolchain.Root()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(root, "..", "deploy", "keda", "chart", "policies", "backlog-scaler.github.io_autoscalerpolicies.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(data, &definition); err != nil {
		t.Fatal(err)
	}
	var props apiextensions.JSONSchemaProps
	if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, &props, nil); err != nil {
		t.Fatal(err)
	}
	s := &server{}
	if s.structural, err = structuralschema.NewStructural(&props); err != nil {
		t.Fatal(err)
	}
	if s.schema, _, err = validation.NewSchemaValidator(&props); err != nil {
		t.Fatal(err)
	}
	s.rules = cel.NewValidator(s.structural, true, celconfig.PerCallLimit)
	return s
}

// check returns what an API server says of a new object with strict fields.
func (s *server) check(t *testing.T, object map[string]any) error {
	t.Helper()
	var errs []error
	unknown := pruning.PruneWithOptions(object, s.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, field := range unknown {
		errs = append(errs, fmt.Errorf("unknown field %q", field))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object, s.structural)
	defaulting.Default(object, s.structural)
	schemaErrors := validation.ValidateCustomResource(nil, object, s.schema)
	schemaErrors = append(schemaErrors, listtype.ValidateListSetsAndMaps(nil, s.structural, object)...)
	if len(schemaErrors) == 0 {
		ruleErrors, _ := s.rules.Validate(t.Context(), nil, s.structural, object, nil, celconfig.RuntimeCELCostBudget)
		schemaErrors = append(schemaErrors, ruleErrors...)
	}
	for _, err := range schemaErrors {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// TestMistakes: the table of mistakes is what the API server's code refuses, in its words.
func TestMistakes(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.check(t, parse(t, policychecktest.Whole)); err != nil {
		t.Errorf("the whole policy: %v", err)
	}
	for _, mistake := range policychecktest.Mistakes() {
		if err := s.check(t, parse(t, mistake.Policy())); err == nil || !strings.Contains(err.Error(), mistake.Server) {
			t.Errorf("%s: the server's code says %v, want %q", mistake.Name, err, mistake.Server)
		}
	}
}

// TestEveryRefusalIsFound changes policies at random. Whatever the API server's code refuses, the
// check of files refuses too. The other way round it finds more: zones, cron and formulas.
func TestEveryRefusalIsFound(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	checker, err := policycheck.New(engines.All(), nil, "shop")
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 1500
	refused, accepted := 0, 0
	for seed := range uint64(rounds) {
		random := rand.New(rand.NewPCG(seed, 13))
		object := parse(t, policychecktest.Whole)
		changes := []string{change(random, object["spec"])}
		if random.IntN(3) == 0 {
			changes = append(changes, change(random, object["spec"]))
		}
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		verdict := s.check(t, parse(t, string(text)))
		if verdict == nil {
			accepted++
			continue
		}
		refused++
		file, err := checker.Check(text)
		if err != nil {
			t.Fatal(err)
		}
		if len(file.Policies) != 1 || len(file.Policies[0].Mistakes) == 0 {
			t.Errorf("seed %d: after %q the server's code says\n%v\nand the check finds nothing", seed, changes, verdict)
		}
	}
	t.Logf("%d refused, %d accepted", refused, accepted)
	if refused < rounds/4 || accepted < rounds/20 {
		t.Errorf("%d refused and %d accepted of %d: the changes show little", refused, accepted, rounds)
	}
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	// Whole numbers are integers to an API server, and not float64 as elsewhere.
	var object map[string]any
	if err := utiljson.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	return object
}
