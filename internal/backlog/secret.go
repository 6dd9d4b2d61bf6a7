package backlog

import "log/slog"

const redacted = "[redacted]"

// A Secret is a text that prints as "[redacted]", however deep in another value it is printed.
type Secret struct {
	// text is a pointer because fmt does not call the methods of values in unexported fields.
	// It prints a pointer there as an address.
	text *string
}

// NewSecret returns a Secret of text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns the text itself. Call it only to pass the text to a client library.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsSet reports whether the text is not empty.
func (s Secret) IsSet() bool { return s.Reveal() != "" }

func (s Secret) String() string { return redacted }

// GoString is what %#v prints.
func (s Secret) GoString() string { return redacted }

// LogValue is what slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is what JSON and YAML encoders print.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
