// Package reference writes those parts of the documentation that follow from the
// code: the layouts and parameters of triggers, the settings of connections, the
// flags and the metrics. Its tests hold every document of the repository to the
// code: examples parse, commands run, links lead somewhere.
package reference

//go:generate go test -count=1 -run ^TestGenerated$ . -update
