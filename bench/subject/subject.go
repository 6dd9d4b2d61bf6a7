// Package subject holds the subjects of the benchmark that need no cluster: one function for each.
package subject

import (
	"context"

	"github.com/backlog-scaler/backlog-scaler/bench/measurement"
)

// A Result is the outcome of a subject.
type Result struct {
	Measurements []measurement.Measurement
	// Curves are values that grow with the number of triggers.
	Curves []Curve
}

// A Curve is a value at several numbers of triggers.
type Curve struct {
	Name, Unit string
	Points     []Point
}

// A Point is the value at one number of triggers.
type Point struct {
	Triggers int
	Value    float64
}

// A Subject is measured by itself.
type Subject struct {
	Name string
	Run  func(context.Context, Programs) (Result, error)
}

// All are the subjects, in the order in which they run.
func All() []Subject {
	return []Subject{
		{"rpc", RPC},
		{"start", Start},
		{"streams", Streams},
		{"wake", Wake},
		{"read", Read},
		{"load", Load},
		{"neighbours", Neighbours},
		{"growth", Growth},
		{"kafka", Kafka},
		{"rabbitmq", RabbitMQ},
		{"postgresql", PostgreSQL},
		{"mysql", MySQL},
		{"jetstream", JetStream},
		{"sqs", SQS},
	}
}
