package explain

import (
	"bytes"
	"encoding/json"
	"io"

	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	pb "github.com/backlog-scaler/backlog-scaler/gen/backlogscaler/v1"
)

// JSON writes a message as indented JSON, with the names of protojson.
func JSON(w io.Writer, m proto.Message) error {
	// protojson varies the space between tokens on purpose.
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, data, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// JSONLines writes the changes of a watch as JSON on one line.
func JSONLines(w io.Writer, m *pb.WatchDecisionsResponse) error {
	if saysNothing(m) {
		return nil
	}
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, data); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// YAML writes a message as YAML, with the names of protojson in alphabetical order.
func YAML(w io.Writer, m proto.Message) error {
	data, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	if err := encoder.Close(); err != nil {
		return err
	}
	_, err = w.Write(b.Bytes())
	return err
}

// YAMLDocuments writes the changes of a watch as one document of YAML.
func YAMLDocuments(w io.Writer, m *pb.WatchDecisionsResponse) error {
	if saysNothing(m) {
		return nil
	}
	if _, err := io.WriteString(w, "---\n"); err != nil {
		return err
	}
	return YAML(w, m)
}

// saysNothing reports whether a message has no change.
func saysNothing(m *pb.WatchDecisionsResponse) bool {
	return len(m.GetChanged()) == 0 && len(m.GetRemoved()) == 0
}
