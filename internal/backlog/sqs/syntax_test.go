package sqs

import (
	"strings"
	"testing"
)

// TestSyntax has texts at the bounds of each kind.
func TestSyntax(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		is         func(string) bool
		right, not []string
	}{
		"queue": {
			isQueue,
			[]string{"a", "A-z_0", strings.Repeat("q", 80), "jobs.fifo", strings.Repeat("q", 75) + ".fifo"},
			[]string{"", ".fifo", strings.Repeat("q", 81), strings.Repeat("q", 76) + ".fifo", "a.b", "a.fifo.fifo", "a b", "ä", "a\n"},
		},
		"account": {isAccount, []string{"123456789012"}, []string{"", "12345678901", "1234567890123", "12345678901a", "１２３４"}},
		"region":  {isRegion, []string{"eu-central-1", "us-gov-west-1", "cn-north-1"}, []string{"", "eu", "e-1", "EU-central-1", "eu-", "eu--1", "-eu-1", "e1-central-1"}},
		"role": {
			isRole,
			[]string{"arn:aws:iam::123456789012:role/scaler", "arn:aws-cn:iam::123456789012:role/team/a+=,.@_-", "arn:aws:iam::123456789012:role/" + strings.Repeat("r", 512)},
			[]string{"", "arn:aws:iam::123456789012:user/scaler", "arn:aws:iam:eu:123456789012:role/a", "arn::iam::123456789012:role/a", "arn:aws:iam::1:role/a", "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role/" + strings.Repeat("r", 513), "arn:aws:iam::123456789012:role/a:b", "arn:AWS:iam::123456789012:role/a"},
		},
		"time": {isTime, []string{"0", "1763000000", "1763000000.123", strings.Repeat("1", 20)}, []string{"", ".", "1.", ".1", "-1", "1e3", "1.2.3", strings.Repeat("1", 21)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range c.right {
				if !c.is(text) {
					t.Errorf("%q is refused", text)
				}
			}
			for _, text := range c.not {
				if c.is(text) {
					t.Errorf("%q is accepted", text)
				}
			}
		})
	}
}
