// Package schema checks objects in YAML by the schema of a custom resource definition, as an API
// server would, without one: unknown fields, types, patterns, bounds, defaults and validation rules.
// It is pure.
//
// Rules in the Common Expression Language are repeated in Go, by their text. The API server's own code
// with an interpreter would make a scaler of 53 MB one of 62 MB. Tests hold both together: each rule of
// the definition has a repetition, and whatever the API server's code refuses is refused here
// (e2e/policyrules).
package schema
