package layout

import "encoding/json"

// NamedQueue returns the queue that a job in JSON names, or what a worker says of one.
func NamedQueue(text string) (queue string, known bool) {
	var job struct {
		Queue string `json:"queue"`
	}
	err := json.Unmarshal([]byte(text), &job)
	return job.Queue, err == nil && job.Queue != ""
}
