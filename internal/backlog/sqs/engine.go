// Package sqs reads queues of Amazon SQS.
//
// SQS counts messages approximately: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-resources-required-to-process-messages.html.
// The numbers may be a minute behind, so that a queue with work may have none for a while. Zero is believed
// only when it is said again and again for that long (see judge.go).
//
// There are no events, each queue is a call of its own, and each call has a price. So the source decides how
// soon a queue is read again, and all its queues share a budget of calls (see pace.go).
package sqs

import (
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// layoutQueue is the name of the only layout.
	layoutQueue = "queue"

	paramAccount = "accountID"
	paramDelayed = "countDelayed"
	paramGroups  = "messageGroups"
)

// maxGroups bounds the number of message groups that a trigger names: a FIFO queue has no more messages
// in flight.
const maxGroups = 120_000

// Engine returns the engine "sqs".
func Engine() backlog.Engine {
	return backlog.Engine{
		Name:     "sqs",
		Summary:  "Amazon SQS, standard and FIFO queues, and what speaks its protocol.",
		Settings: settings(),
		Check:    check,
		Open:     open,
		Layouts: []backlog.Layout{{
			Name:    layoutQueue,
			Summary: "Messages of a queue that can be received, or that a worker has received and not deleted. The user needs `sqs:GetQueueAttributes`, and `sqs:GetQueueUrl` unless the trigger has the URL.",
			Queue:   "name of the queue, its ARN or its URL",
			Parameters: []backlog.Parameter{
				{Name: paramAccount, Kind: backlog.KindText, Doc: "Account that owns the queue, 12 digits, where it is another one than that of the connection."},
				{Name: paramDelayed, Kind: backlog.KindBool, Default: "false", Doc: "Whether messages count that are delayed and cannot be received yet, as if their time had come."},
				{Name: paramGroups, Kind: backlog.KindInteger, Min: 1, Max: maxGroups, Doc: "Number of message groups of a FIFO queue. More workers cannot help, because one message of each group is in flight at a time; SQS does not say how many groups there are."},
			},
			MissingIsError: true,
			InFlightIsLate: true,
			Ready:          "`ApproximateNumberOfMessages`. Zero is believed when SQS has said it for `emptyFor`; until then the numbers before it count",
			Due:            "`ApproximateNumberOfMessagesDelayed`, with `countDelayed: \"true\"` alone",
			InFlight:       "`ApproximateNumberOfMessagesNotVisible`: messages that were received and not deleted, those of workers that are gone included until their visibility timeout",
			Check:          checkQuery,
			CheckOn:        checkOn,
		}},
	}
}

// checkQuery reports names that no queue can have.
func checkQuery(q backlog.Query) error {
	n, err := parseName(q.Queue)
	if err != nil {
		return fmt.Errorf("%s: %w", layoutQueue, err)
	}
	account := q.Params.Get(paramAccount)
	return backlog.JoinFaults(
		backlog.Fault{Present: account != "" && !isAccount(account), Text: paramAccount + ": want 12 digits"},
		backlog.Fault{Present: account != "" && n.account != "" && account != n.account, Text: paramAccount + ": is another account than that of the queue's ARN"},
		backlog.Fault{Present: account != "" && n.url != "", Text: paramAccount + ": the URL has the account"},
		backlog.Fault{Present: q.Params.Get(paramGroups) != "" && !n.isFIFO(), Text: paramGroups + ": only a FIFO queue has groups, whose name ends with .fifo"},
	)
}

// checkOn reports an ARN of another region.
func checkOn(s backlog.Settings, q backlog.Query) error {
	n, err := parseName(q.Queue)
	if region := s.Text(settingRegion); err == nil && n.region != "" && n.region != region {
		return fmt.Errorf("%s: the ARN is of region %q, and the connection of %q", layoutQueue, n.region, region)
	}
	return nil
}
