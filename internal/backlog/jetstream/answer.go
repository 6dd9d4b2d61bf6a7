package jetstream

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The types of answers.
const (
	streamType   = "io.nats.jetstream.api.v1.stream_info_response"
	consumerType = "io.nats.jetstream.api.v1.consumer_info_response"
)

// maxNumber bounds a number of messages, so that sums do not overflow.
const maxNumber = 1 << 53

// An apiError is why the API does not do what it was asked for:
// https://github.com/nats-io/nats-server/blob/main/server/errors.json.
type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

// An envelope is what all answers have.
type envelope struct {
	Type  string    `json:"type"`
	Error *apiError `json:"error"`
}

// A clusterInfo is the group of servers that holds a stream or a consumer, as one of them sees it.
type clusterInfo struct {
	Leader string `json:"leader"`
	// Replicas are the others of the group.
	Replicas []struct {
		Name string `json:"name"`
	} `json:"replicas"`
}

// A streamInfo is the answer about a stream:
// https://github.com/nats-io/jsm.go/blob/main/schemas/jetstream/api/v1/stream_info_response.json.
// Numbers are pointers because a number that is left out is not 0.
type streamInfo struct {
	envelope

	Config struct {
		Name             string            `json:"name"`
		Subjects         []string          `json:"subjects"`
		Retention        string            `json:"retention"`
		Replicas         int               `json:"num_replicas"`
		Mirror           json.RawMessage   `json:"mirror"`
		Sources          []json.RawMessage `json:"sources"`
		SubjectTransform json.RawMessage   `json:"subject_transform"`
		Schedules        bool              `json:"allow_msg_schedules"`
	} `json:"config"`
	Created time.Time `json:"created"`
	State   struct {
		Messages *int64           `json:"messages"`
		FirstSeq *int64           `json:"first_seq"`
		FirstAt  time.Time        `json:"first_ts"`
		LastSeq  *int64           `json:"last_seq"`
		Subjects map[string]int64 `json:"subjects"`
	} `json:"state"`
	Cluster *clusterInfo `json:"cluster"`
	// Total is how many subjects match a filter, which may be more than are listed.
	Total int `json:"total"`
}

// A consumerInfo is the answer about a consumer:
// https://github.com/nats-io/jsm.go/blob/main/schemas/jetstream/api/v1/consumer_info_response.json.
type consumerInfo struct {
	envelope

	Stream string `json:"stream_name"`
	Name   string `json:"name"`
	Config struct {
		AckPolicy      string   `json:"ack_policy"`
		FilterSubject  string   `json:"filter_subject"`
		FilterSubjects []string `json:"filter_subjects"`
		MaxAckPending  int64    `json:"max_ack_pending"`
		DeliverSubject string   `json:"deliver_subject"`
		DeliverGroup   string   `json:"deliver_group"`
		Replicas       int      `json:"num_replicas"`
		PriorityPolicy string   `json:"priority_policy"`
		PriorityGroups []string `json:"priority_groups"`
	} `json:"config"`
	Delivered struct {
		Consumer *int64 `json:"consumer_seq"`
		Stream   *int64 `json:"stream_seq"`
	} `json:"delivered"`
	AckPending     *int64        `json:"num_ack_pending"`
	Pending        *int64        `json:"num_pending"`
	Cluster        *clusterInfo  `json:"cluster"`
	PushBound      bool          `json:"push_bound"`
	Paused         bool          `json:"paused"`
	PauseRemaining time.Duration `json:"pause_remaining"`
}

// filters returns the subjects of the messages that the consumer gets; none if it gets all.
func (c *consumerInfo) filters() []string {
	if c.Config.FilterSubject != "" {
		return []string{c.Config.FilterSubject}
	}
	return c.Config.FilterSubjects
}

// parseStream returns an answer about a stream. The error wraps one of backlog's.
func parseStream(data []byte, name string) (*streamInfo, error) {
	s := new(streamInfo)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, errUnreadable(err)
	}
	if s.Error != nil {
		return nil, errorOf(s.Error)
	}
	if s.Type != streamType || s.Config.Name != name {
		return nil, fmt.Errorf("%w: the answer is not that about the stream", backlog.ErrMismatch)
	}
	if err := checkLeader(s.Cluster, s.Config.Replicas); err != nil {
		return nil, err
	}
	return s, checkNumbers(map[string]*int64{"messages": s.State.Messages, "first_seq": s.State.FirstSeq, "last_seq": s.State.LastSeq})
}

// parseConsumer returns an answer about a consumer. The error wraps one of backlog's.
func parseConsumer(data []byte, stream, name string) (*consumerInfo, error) {
	c := new(consumerInfo)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, errUnreadable(err)
	}
	if c.Error != nil {
		return nil, errorOf(c.Error)
	}
	if c.Type != consumerType || c.Stream != stream || c.Name != name {
		return nil, fmt.Errorf("%w: the answer is not that about the consumer", backlog.ErrMismatch)
	}
	if err := checkLeader(c.Cluster, c.Config.Replicas); err != nil {
		return nil, err
	}
	return c, checkNumbers(map[string]*int64{
		"num_pending": c.Pending, "num_ack_pending": c.AckPending,
		"delivered.consumer_seq": c.Delivered.Consumer, "delivered.stream_seq": c.Delivered.Stream,
	})
}

// checkLeader reports an answer of a replica: its numbers are those of some time ago, or 0 where it has
// none yet. A replica answers while its group has no leader, and one that is preferred as the leader may
// do so for ten seconds after it was started:
// https://github.com/nats-io/nats-server/blob/main/server/jetstream_api.go (jsStreamInfoRequest).
func checkLeader(group *clusterInfo, replicas int) error {
	if group == nil && replicas > 1 || group != nil && group.Leader == "" {
		return fmt.Errorf("%w: there is no leader", backlog.ErrUnavailable)
	}
	if group == nil {
		return nil
	}
	for _, other := range group.Replicas {
		if other.Name == group.Leader {
			return fmt.Errorf("%w: the answer is that of a replica", backlog.ErrUnavailable)
		}
	}
	return nil
}

// checkNumbers reports numbers that are missing or make no sense.
func checkNumbers(numbers map[string]*int64) error {
	for name, n := range numbers {
		switch {
		case n == nil:
			return fmt.Errorf("%w: the answer has no %s", backlog.ErrMismatch, name)
		case *n < 0 || *n > maxNumber:
			return fmt.Errorf("%w: the answer has %d as %s", backlog.ErrMismatch, *n, name)
		}
	}
	return nil
}

func errUnreadable(err error) error {
	return fmt.Errorf("%w: the answer cannot be read: %s", backlog.ErrMismatch, backlog.Line(err.Error()))
}
