// Package policycheck checks AutoscalerPolicies in files and prints what they will do: offline, by
// the schema of the API server and by the scaler's own parsers.
package policycheck
