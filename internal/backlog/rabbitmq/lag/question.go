package lag

// The names of the engine's setting and of the parameter that errors name.
const (
	SettingAddresses   = "streamAddresses"
	ParamMissingOffset = "missingOffset"
)

// The values of missingOffset.
const (
	MissingFirst = "first"
	MissingNext  = "next"
	MissingError = "error"
)

// A Question is how far a consumer is behind in streams.
type Question struct {
	// Streams are the names, each once, and at least one unless Several is set.
	Streams []string
	// Consumer is the name by which the consumer stores its offset.
	Consumer string
	// Missing is what a stream means for which no offset is stored, a value of missingOffset. Any other one
	// stands for MissingFirst.
	Missing string
	// Several reports that the reading is one of several streams, even where one or none was found.
	Several bool
	// Matched reports that patterns chose the streams, so that others may be found later.
	Matched bool
}

// Answers are what the server answered for each stream, by name.
type Answers map[string]*job
