// Package reference generates the parts of the documentation that follow from the code: the
// layouts and parameters of triggers, the settings of connections, the flags and the
// metrics. Its tests check every document of the repository: examples parse, commands run
// and links resolve.
package reference

//go:generate go test -count=1 -run ^Test(Generated|Schema)$ . -update
