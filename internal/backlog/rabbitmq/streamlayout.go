package rabbitmq

import (
	"errors"
	"fmt"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/lag"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/rabbitmq/stream"
)

const (
	// layoutStream is the layout of streams.
	layoutStream  = "stream"
	paramConsumer = "consumer"
)

// streamLayoutOf returns the layout of streams.
func streamLayoutOf() backlog.Layout {
	return backlog.Layout{
		Name:     layoutStream,
		Summary:  "Messages of a stream that a consumer, by the offset that it stores on the server, has not processed (RabbitMQ 3.11 and later, with the plugin `rabbitmq_stream`). It needs `streamAddresses` in the settings of the connection.",
		Queue:    "names of streams; the partitions of a super stream `orders` are the streams `orders-0`, `orders-1` and so on",
		Patterns: "the streams that the management API lists; needs `managementURL`",
		Parameters: []backlog.Parameter{
			{Name: paramConsumer, Kind: backlog.KindText, Required: true, Doc: "Name of the consumer, which the protocol calls the reference: that by which it stores its offset."},
			{Name: lag.ParamMissingOffset, Kind: backlog.KindChoice, Allowed: []string{lag.MissingFirst, lag.MissingNext, lag.MissingError}, Default: lag.MissingFirst, Doc: "What a stream means for which no offset is stored: `first` counts all its messages, `next` none, `error` is an error."},
		},
		// A stream is declared before its consumers start, so that one that does not exist is most likely
		// a mistake.
		MissingIsError:    true,
		ReadyIncludesHeld: true,
		Ready:             "the offset of the last message less the stored offset, which is that of the last message that was processed, or all that retention has left. Messages in the hands of the consumer are part of it. Offsets that the server itself takes for stored offsets count where the scaler has not seen them as such (an upper bound), and so do messages that a filter keeps from the consumer",
		Passing:           "messages that were published, and offsets that were stored",
		Finished:          "the offsets up to the stored one",
		Check:             checkStream,
		CheckOn:           checkStreamOn,
	}
}

// streamAddressesSetting returns the setting of the addresses.
func streamAddressesSetting() backlog.Parameter {
	return backlog.Parameter{
		Name: lag.SettingAddresses, Kind: backlog.KindAddresses,
		Doc: "Addresses of the nodes for the stream protocol, whose port is 5552 as a rule, 5551 with TLS, for triggers of the layout `stream`. User, virtual host and TLS are those of AMQP. Each stream is read from the node of its leader: the address that this node advertises, or else one of these.",
	}
}

// checkStream reports parameters that are not allowed.
func checkStream(q backlog.Query) error {
	consumer := q.Params.Get(paramConsumer)
	switch {
	case consumer == "":
		return errors.New(paramConsumer + ": required")
	case len(consumer) > stream.MaxName:
		return fmt.Errorf("%s: has %d bytes, want at most %d", paramConsumer, len(consumer), stream.MaxName)
	}
	return nil
}

// checkStreamOn reports a query that a connection with these settings cannot be asked.
func checkStreamOn(s backlog.Settings, q backlog.Query) error {
	if len(s.List(lag.SettingAddresses)) == 0 {
		return fmt.Errorf("%s: needs %s in the settings of the connection", layoutStream, lag.SettingAddresses)
	}
	return checkPatterns(s, q)
}
