package doctor

import "slices"

// Checks returns all checks, in the order of their codes within each category.
func Checks() []Check {
	return slices.Concat(
		kedaChecks(), networkChecks(),
		inOrder(slices.Concat(triggerChecks(), encryptionChecks(), settingChecks(), statusChecks())),
		workloadChecks(), scalerChecks(), serverChecks(), policyChecks(), annotationChecks(),
	)
}

// inOrder sorts checks by their codes.
func inOrder(checks []Check) []Check {
	slices.SortFunc(checks, func(a, b Check) int {
		if a.Code < b.Code {
			return -1
		}
		return 1
	})
	return checks
}

// Codes returns the codes of all checks.
func Codes() []string {
	var codes []string
	for _, check := range Checks() {
		codes = append(codes, check.Code)
	}
	return codes
}
