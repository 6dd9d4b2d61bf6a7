package config

import (
	"strings"
	"testing"
	"unicode/utf16"
)

const bom = "\ufeff"

// inUTF16 is a text as a Windows shell writes it, with or without its mark.
func inUTF16(text string, mark bool) string {
	var b strings.Builder
	if mark {
		text = bom + text
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		b.Write([]byte{byte(unit), byte(unit >> 8)})
	}
	return b.String()
}

// TestBOMInSecrets: what editors put before and behind a text is no part of a secret, of a
// certificate and of the configuration, and UTF-16 is a fault that says so.
func TestBOMInSecrets(t *testing.T) {
	t.Parallel()
	const plain = "s3cret"
	for _, tc := range []struct {
		name, secret, want string
	}{
		{"plain", plain, plain},
		{"a newline", plain + "\n", plain},
		{"newlines of both kinds", plain + "\r\n\n", plain},
		{"blanks are kept", " " + plain + " \n", " " + plain + " "},
		{"a newline inside", "s3\ncret", "s3\ncret"},
		{"a mark", bom + plain, plain},
		{"a mark and a newline", bom + plain + "\r\n", plain},
		{"a mark alone", bom + "\r\n", "is empty"},
		{"UTF-16", inUTF16(plain, true), "is in UTF-16, want UTF-8"},
		{"UTF-16 without a mark", inUTF16(plain, false), "is in UTF-16, want UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			fault := strings.Contains(tc.want, "is ")
			check := func(where string, config *Config, err error) {
				t.Helper()
				switch {
				case fault && (err == nil || !strings.Contains(err.Error(), tc.want)):
					t.Errorf("%s: %v, want %q", where, err, tc.want)
				case fault:
				case err != nil:
					t.Errorf("%s: %v", where, err)
				case password(config) != tc.want:
					t.Errorf("%s: %q, want %q", where, password(config), tc.want)
				}
				if err != nil && strings.Contains(err.Error(), "3cret") {
					t.Errorf("%s: %v repeats the secret", where, err)
				}
			}
			config, err := Parse([]byte(paper("password: {file: f}")), testEngines(), readFrom(map[string]string{"f": tc.secret}), envFrom(nil))
			check("file", config, err)
			if strings.ContainsRune(tc.secret, 0) {
				return // no variable can hold it
			}
			config, err = Parse([]byte(paper("password: {env: E}")), testEngines(), readFrom(nil), envFrom(map[string]string{"E": tc.secret}))
			check("variable", config, err)
		})
	}
	t.Run("certificates", func(t *testing.T) {
		t.Parallel()
		config, err := Parse([]byte(paper("tls: true", "tlsCAFile: ca")), testEngines(), readFrom(map[string]string{"ca": bom + "-----BEGIN"}), envFrom(nil))
		if err != nil || string(config.Connections[0].Settings.File("tlsCAFile").Data) != "-----BEGIN" {
			t.Errorf("error %v", err)
		}
		_, err = Parse([]byte(paper("tls: true", "tlsCAFile: ca")), testEngines(), readFrom(map[string]string{"ca": inUTF16("-----BEGIN", true)}), envFrom(nil))
		if err == nil || !strings.Contains(err.Error(), `tlsCAFile: the file "ca" is in UTF-16`) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("configuration", func(t *testing.T) {
		t.Parallel()
		if _, err := Parse([]byte(bom+strings.ReplaceAll(paper(), "\n", "\r\n")), testEngines(), readFrom(nil), envFrom(nil)); err != nil {
			t.Errorf("with a mark: %v", err)
		}
		for _, mark := range []bool{true, false} {
			_, err := Parse([]byte(inUTF16(paper(), mark)), testEngines(), readFrom(nil), envFrom(nil))
			if err == nil || !strings.Contains(err.Error(), "is in UTF-16, want UTF-8") {
				t.Errorf("UTF-16: %v", err)
			}
		}
	})
}
