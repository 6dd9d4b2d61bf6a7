package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// auditPolicy has every write of a service account logged and every read of Secrets, and nothing else: KEDA, the controllers and the tests have the
// administrator's access. https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
  userGroups: ["system:serviceaccounts"]
  resources: [{group: "", resources: [secrets]}]
- level: None
`

// A Write is a request of a service account that writes, as the API server has logged it.
type Write struct {
	At         time.Time
	User, Verb string
	// Resource has the subresource behind a slash, such as deployments/scale.
	Resource, Namespace, Name string
	// Code is the HTTP status of the answer.
	Code int
}

// Writes lists what service accounts wrote in a namespace, or in all of them if it is empty, the denied and failed requests
// included.
func (c *Cluster) Writes(namespace string) ([]Write, error) {
	return c.logged(func(w Write) bool { return !w.reads() && (namespace == "" || w.Namespace == namespace) })
}

// SecretReads lists the reads of Secrets that service accounts asked for, the denied requests included.
func (c *Cluster) SecretReads() ([]Write, error) { return c.logged(Write.reads) }

// reads reports whether the request writes nothing.
func (w Write) reads() bool { return w.Verb == "get" || w.Verb == "list" || w.Verb == "watch" }

// logged lists the requests of the log that a function keeps.
func (c *Cluster) logged(keep func(Write) bool) ([]Write, error) {
	file, err := os.Open(c.auditLog())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // it is made with the first line
	case err != nil:
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	defer file.Close() //nolint:errcheck // read only
	var writes []Write
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var event struct {
			User             struct{ Username string }
			Verb             string
			ObjectRef        struct{ Resource, Subresource, Namespace, Name string }
			ResponseStatus   struct{ Code int }
			RequestTimestamp time.Time `json:"requestReceivedTimestamp"`
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("parse audit log: %w", err)
		}
		w := Write{
			At: event.RequestTimestamp, User: event.User.Username, Verb: event.Verb, Resource: event.ObjectRef.Resource,
			Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name, Code: event.ResponseStatus.Code,
		}
		if event.ObjectRef.Subresource != "" {
			w.Resource += "/" + event.ObjectRef.Subresource
		}
		if keep(w) {
			writes = append(writes, w)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return writes, nil
}

func (c *Cluster) auditLog() string { return filepath.Join(c.dir, "audit.log") }

// writeAuditPolicy returns the file of the policy.
func (c *Cluster) writeAuditPolicy() (string, error) {
	file := filepath.Join(c.dir, "audit.yaml")
	if err := os.WriteFile(file, []byte(auditPolicy), 0o600); err != nil {
		return "", fmt.Errorf("write audit policy: %w", err)
	}
	return file, nil
}
