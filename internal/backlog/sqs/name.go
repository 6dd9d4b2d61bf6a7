package sqs

import (
	"errors"
	"strings"
)

// A name is how a trigger names a queue.
type name struct {
	queue string
	// region and account are those of an ARN.
	region, account string
	// url is the whole text if it is one.
	url string
}

func (n name) isFIFO() bool { return strings.HasSuffix(n.queue, ".fifo") }

// maxURL bounds the URL of a queue in bytes.
const maxURL = 2048

var (
	errName = errors.New(`want a name of 1 to 80 letters, digits, "-" and "_" (".fifo" may end it), an ARN or a URL`)
	errARN  = errors.New("want an ARN as in arn:aws:sqs:eu-central-1:123456789012:jobs")
	errURL  = errors.New("want a URL as in https://sqs.eu-central-1.amazonaws.com/123456789012/jobs")
)

// parseName parses the name, the ARN or the URL of a queue.
func parseName(text string) (name, error) {
	switch {
	case strings.HasPrefix(text, "arn:"):
		return parseARN(text)
	case strings.Contains(text, "://"):
		u, is := parseURL(text)
		if !is || !isQueue(u.Path[strings.LastIndex(u.Path, "/")+1:]) {
			return name{}, errURL
		}
		return name{queue: u.Path[strings.LastIndex(u.Path, "/")+1:], url: text}, nil
	case !isQueue(text):
		return name{}, errName
	}
	return name{queue: text}, nil
}

func parseARN(text string) (name, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 6 || parts[2] != "sqs" {
		return name{}, errARN
	}
	n := name{region: parts[3], account: parts[4], queue: parts[5]}
	if !isRegion(n.region) || !isAccount(n.account) || !isQueue(n.queue) {
		return name{}, errARN
	}
	return n, nil
}
