package sqs

import "strings"

// The characters of names. Regular expressions with the bounds below would be compiled at each start of the
// program, which takes milliseconds.
const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits
)

// consists reports whether a text has from least to most characters, all of them among those of a set.
func consists(text, set string, least, most int) bool {
	return len(text) >= least && len(text) <= most && strings.TrimLeft(text, set) == ""
}

// isQueue reports whether a text is a name of a queue:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html.
func isQueue(text string) bool {
	const suffix = ".fifo"
	if stem, isFIFO := strings.CutSuffix(text, suffix); isFIFO {
		return consists(stem, letters+"-_", 1, 80-len(suffix))
	}
	return consists(text, letters+"-_", 1, 80)
}

// isAccount reports whether a text is the number of an account.
func isAccount(text string) bool { return consists(text, digits, 12, 12) }

// isRegion reports whether a text is the name of a region, such as eu-central-1.
func isRegion(text string) bool {
	parts := strings.Split(text, "-")
	if len(parts) < 2 || !consists(parts[0], lower, 2, len(text)) {
		return false
	}
	for _, part := range parts[1:] {
		if !consists(part, lower+digits, 1, len(text)) {
			return false
		}
	}
	return true
}

// isRole reports whether a text is the ARN of a role:
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns.
func isRole(text string) bool {
	parts := strings.Split(text, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[3] != "" {
		return false
	}
	name, is := strings.CutPrefix(parts[5], "role/")
	return is && consists(parts[1], lower+"-", 1, len(text)) && isAccount(parts[4]) && consists(name, letters+"+=,.@_/-", 1, 512)
}

// isTime reports whether a text is a time in seconds. The service has whole ones, and others have not.
func isTime(text string) bool {
	whole, fraction, has := strings.Cut(text, ".")
	return consists(whole, digits, 1, 20) && (!has || consists(fraction, digits, 1, 20))
}
