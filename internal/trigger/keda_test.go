package trigger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// TestKEDAKeys: a key of KEDA's own redis triggers is answered with what replaces it, with
// its value or with one from the environment, and its value is not repeated.
func TestKEDAKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"address":              `addresses: ["host:port"]`,
		"addresses":            `addresses: ["host:port"]`,
		"host":                 `addresses: ["host:port"]`,
		"hosts":                `addresses: ["host:port"]`,
		"port":                 `addresses: ["host:port"]`,
		"ports":                `addresses: ["host:port"]`,
		"sentinelAddress":      "mode: sentinel",
		"username":             "username",
		"password":             "password: {file: PATH}",
		"sentinelUsername":     "sentinelUsername",
		"sentinelPassword":     "sentinelPassword: {file: PATH}",
		"sentinelMaster":       "masterName",
		"masterName":           "masterName",
		"databaseIndex":        "database",
		"tls":                  "tls: true",
		"listName":             "is called list",
		"listLength":           "is called target",
		"activationListLength": "is called activation",
		"lagCount":             "is called target",
		"activationLagCount":   "is called activation",
		"pendingEntriesCount":  "is called target",
		"streamLength":         "is called target",
		"metricName":           "is not needed",
		"metricType":           "next to metadata",
	} {
		for _, suffix := range []string{"", "FromEnv"} {
			t.Run(key+suffix, func(t *testing.T) {
				t.Parallel()
				for _, metadata := range []map[string]string{
					{"connection": "orders", "list": "jobs", key + suffix: "canary"},
					// As it was pasted from a trigger of KEDA's own.
					{key + suffix: "canary"},
				} {
					_, err := catalog().Parse("shop", metadata)
					if _, ok := errors.AsType[trigger.MetadataError](err); !ok {
						t.Fatalf("error %v, want faults", err)
					}
					text := err.Error()
					if !strings.Contains(text, key+suffix+": a key of KEDA's own redis triggers, which ") || !strings.Contains(text, want) {
						t.Errorf("error %q, want %q", text, want)
					}
					if strings.Contains(text, "canary") || strings.Contains(text, "unknown key") {
						t.Errorf("error %q", text)
					}
				}
			})
		}
	}
}

// TestKEDAKeysOfExternalTriggers: what KEDA's external trigger has for itself is no fault.
func TestKEDAKeysOfExternalTriggers(t *testing.T) {
	t.Parallel()
	_, err := catalog().Parse("shop", map[string]string{
		"connection": "orders", "list": "jobs", "scalerAddress": "backlog-scaler:9090", "enableTLS": "true", "unsafeSsl": "false",
	})
	if err != nil {
		t.Errorf("error %v", err)
	}
}

// TestNoUserInformationInFaults: whatever key has a URL with credentials, or a text like
// one, no fault repeats them.
func TestNoUserInformationInFaults(t *testing.T) {
	t.Parallel()
	values := []string{
		"rediss://:canary@host:6379/1", "redis://user:canary@host", "redis://:my canary@host", "redis://:ca,canary@host", `redis://:"canary@host`,
		"user:canary@host:6379", "canary@host", "host:6379,password=canary", "redis://host/0?password=canary",
	}
	keys := []string{
		"connection", "list", "stream", "pair", "other", "consumerGroup", "groupStart", "lst", "anything", "addressFromEnv", "listFromEnv",
	}
	for _, parameter := range trigger.Common() {
		keys = append(keys, parameter.Name)
	}
	for _, key := range keys {
		for _, value := range values {
			metadata := map[string]string{"connection": "orders", "list": "jobs", "missing": "never"}
			metadata[key] = value
			if _, err := catalog().Parse("shop", metadata); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %s: error %v", key, value, err)
			}
			if _, err := catalog().Parse("shop", map[string]string{"connection": "orders", "list": "jobs", value: "x"}); err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("key %s: error %v", value, err)
			}
		}
	}
}
