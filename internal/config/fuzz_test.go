package config

import (
	"errors"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// FuzzParse looks for panics, and for errors that are not Faults.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"connections: {}", paper("password: {file: a}", "tls: true"), paper("database: x", "<<: *a"),
		"a: &a [*a]", "---\n---\n", "connections: {a: {engine: stone, namespaces: [a], token: {env: A}}}",
		"connections:\n  ? [a, b]\n  : !!binary c\n# d\n", "\ufeffconnections: {}", "%YAML 1.2\n---\nconnections: ~",
	} {
		f.Add([]byte(seed))
	}
	engines := testEngines()
	read := readFrom(map[string]string{"a": "x"})
	env := envFrom(map[string]string{"A": "x"})
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Parse(data, engines, read, env)
		var faults Faults
		if (config == nil) == (err == nil) || err != nil && !errors.As(err, &faults) {
			t.Fatalf("Parse = %v, %v, want a configuration or faults", config, err)
		}
	})
}

// TestNoSecretInFaults writes a secret wherever a person may put it by mistake,
// in every way that YAML knows, and expects that no fault repeats it.
func TestNoSecretInFaults(t *testing.T) {
	t.Parallel()
	engines := testEngines()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`hunter[!-~]{1,12}`).Draw(t, "secret")
		shape := rapid.SampledFrom([]string{
			"password: %", "password: '%'", `password: "%"`, "password: *%", "password: !%", "password: &%", "password: |\n      %",
			"password: [%]", "password: {%}", "password: {%: %}", "password: {file: {a: %}}", "password: {env: [%]}",
			"password: {env: -%}", "password: {file: [%]}", "pasword: %", "passwort: {a: %}", "password: {file: a, file: %}",
			"password:\n      - %", "password: {file: a}\n    password: %", "username: [%]", "tlsCAFile: {a: %}", "?\n    - %",
		}).Draw(t, "shape")
		data := paper(strings.ReplaceAll(shape, "%", secret))
		_, err := Parse([]byte(data), engines, readFrom(map[string]string{"a": "x"}), envFrom(nil))
		if err == nil {
			return // a comment may hide the secret, and then the text is valid
		}
		if strings.Contains(err.Error(), secret) {
			t.Fatalf("the error repeats the secret:\n%s\n%v", data, err)
		}
	})
}

// TestSecretNeverPrinted reads a valid secret next to a fault and prints everything.
func TestSecretNeverPrinted(t *testing.T) {
	t.Parallel()
	env := envFrom(map[string]string{"PASSWORD": "hunter2"})
	read := readFrom(map[string]string{"secret": "hunter2"})
	for _, line := range []string{"password: {env: PASSWORD}", "password: {file: secret}"} {
		if _, err := Parse([]byte(paper(line, "database: x")), testEngines(), read, env); strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error = %v", err)
		}
		config, err := Parse([]byte(paper(line)), testEngines(), read, env)
		if err != nil {
			t.Fatal(err)
		}
		text, err := yaml.Marshal(config.Connections[0].Settings.Secret("password"))
		if err != nil || strings.Contains(string(text), "hunter2") {
			t.Errorf("YAML = %s, %v", text, err)
		}
	}
}
