package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxStatus bounds the answer of /busy, in bytes. That of this package has less than 100.
const maxStatus = 4 << 10

// A Status is the answer of /busy: 200 with this object as JSON, whether the worker is busy or
// not. "busy" is the only field that a worker without this package has to answer with:
//
//	{"busy": true, "inFlight": 2, "ready": true, "draining": false}
//
// The contract is that a pod is idle only if it says so. An answer that ParseStatus rejects, a
// redirect, or none within the client's time limit count as busy, because a pod that is taken
// for idle is the first one to be ended. A worker that starts, or drains and has no job in flight,
// is not busy.
type Status struct {
	// Busy is whether a job is in flight, so that ending the worker would interrupt it.
	Busy bool `json:"busy"`
	// InFlight is the number of jobs that were begun and have not ended.
	InFlight int `json:"inFlight"`
	// Ready is whether /readyz answers 200.
	Ready bool `json:"ready"`
	// Draining is whether the worker begins no further job because it is about to end.
	Draining bool `json:"draining"`
}

// ParseStatus reads an answer of /busy: its status code and its body. A client that gets an
// error has to take the worker for busy. The error states what is wrong with the answer, and
// holds nothing of its body. It is an error
//
//   - if the code is not 200,
//   - if the body is not one JSON object of at most 4 KiB,
//   - if "busy" is missing or is not true or false,
//   - if "inFlight" contradicts it: negative, or not zero although the worker is not busy.
//
// Other fields are optional, and fields that Status does not have are ignored.
func ParseStatus(code int, body io.Reader) (Status, error) {
	if code != http.StatusOK {
		return Status{}, fmt.Errorf("read whether the worker is busy: status %d, want 200", code)
	}
	data, err := io.ReadAll(io.LimitReader(body, maxStatus+1))
	if err != nil {
		return Status{}, fmt.Errorf("read whether the worker is busy: %w", err)
	}
	if len(data) > maxStatus {
		return Status{}, fmt.Errorf("read whether the worker is busy: the answer is longer than %d bytes", maxStatus)
	}
	var answer struct {
		Busy     *bool `json:"busy"`
		InFlight int   `json:"inFlight"`
		Ready    bool  `json:"ready"`
		Draining bool  `json:"draining"`
	}
	if json.Unmarshal(data, &answer) != nil {
		return Status{}, errors.New(`read whether the worker is busy: the answer is not JSON such as {"busy": true, "inFlight": 1}`)
	}
	switch {
	case answer.Busy == nil:
		return Status{}, errors.New(`read whether the worker is busy: the answer has no "busy", want true or false`)
	case answer.InFlight < 0, answer.InFlight > 0 && !*answer.Busy:
		return Status{}, fmt.Errorf("read whether the worker is busy: busy is %t with %d in flight", *answer.Busy, answer.InFlight)
	}
	return Status{Busy: *answer.Busy, InFlight: answer.InFlight, Ready: answer.Ready, Draining: answer.Draining}, nil
}
