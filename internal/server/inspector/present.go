package inspector

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

const (
	// severalLines is the only field with several lines: one fault on each.
	severalLines protoreflect.Name = "configuration_error"
	// maxFaultLines bounds these lines.
	maxFaultLines = 50
)

// present turns every text of a message into a backlog.Line, in place. Texts of tenants and
// servers may be of any length, contain control sequences of terminals, or be invalid
// UTF-8, which protobuf rejects. The server calls it before it sends; the client calls it
// too, because another service may answer.
func present(m proto.Message) {
	if m != nil && m.ProtoReflect().IsValid() {
		presentMessage(m.ProtoReflect())
	}
}

func presentMessage(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			presentMap(field, value.Map())
		case field.IsList():
			list := value.List()
			for i := range list.Len() {
				if changed, ok := presented(field, list.Get(i)); ok {
					list.Set(i, changed)
				}
			}
		default:
			if changed, ok := presented(field, value); ok {
				m.Set(field, changed)
			}
		}
		return true
	})
}

// presentMap does the same with keys and values.
func presentMap(field protoreflect.FieldDescriptor, entries protoreflect.Map) {
	entries.Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
		if changed, ok := presented(field.MapValue(), value); ok {
			entries.Set(key, changed)
		}
		if field.MapKey().Kind() != protoreflect.StringKind {
			return true
		}
		if line := backlog.Line(key.String()); line != key.String() {
			value = entries.Get(key)
			entries.Clear(key)
			entries.Set(protoreflect.ValueOfString(line).MapKey(), value)
		}
		return true
	})
}

// presented returns the value of a field if it has to change. Messages change in place.
func presented(field protoreflect.FieldDescriptor, value protoreflect.Value) (changed protoreflect.Value, ok bool) {
	switch field.Kind() {
	case protoreflect.MessageKind:
		presentMessage(value.Message())
		return value, false
	case protoreflect.StringKind:
		text := value.String()
		line := backlog.Line(text)
		if field.Name() == severalLines {
			line = backlog.Lines(text, maxFaultLines)
		}
		return protoreflect.ValueOfString(line), line != text
	default:
		return value, false
	}
}
