package jetstreamtest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// configuration is that of a server: https://docs.nats.io/running-a-nats-service/configuration. Limits of
// what it stores are small, so that servers fit on any disk.
const configuration = `server_name: %[1]q
listen: %[2]q
http: %[3]q
jetstream {
  store_dir: %[4]q
  max_memory_store: 64MB
  max_file_store: 256MB
%[5]s}
`

// clustered is the part of a server in a cluster.
const clustered = `cluster {
  name: "jetstreamtest"
  listen: %[1]q
  routes: [%[2]s]
}
`

// configure writes the configuration of a server.
func (n *Node) configure(routes []string, domain, extra string) error {
	if err := os.MkdirAll(n.dir, 0o700); err != nil {
		return fmt.Errorf("create the folder of %s: %w", n.Name, err)
	}
	n.others = len(routes) - 1
	if domain != "" {
		domain = fmt.Sprintf("  domain: %q\n", domain)
	}
	n.settings = fmt.Sprintf(configuration, n.Name, n.Address, n.Monitor, n.data(), domain)
	if len(routes) > 1 {
		n.settings += fmt.Sprintf(clustered, n.route, `"`+strings.Join(routes, `", "`)+`"`)
	}
	n.configuration = filepath.Join(n.dir, "nats.conf")
	return n.write(extra)
}

// data is the folder of the data.
func (n *Node) data() string { return filepath.Join(n.dir, "data") }

// write writes the configuration, with a text behind its settings.
func (n *Node) write(extra string) error {
	if err := os.WriteFile(n.configuration, []byte(n.settings+extra), 0o600); err != nil {
		return fmt.Errorf("configure %s: %w", n.Name, err)
	}
	return nil
}

// monitored asks the monitoring of a server whether it serves, and whether it leads its cluster.
func (n *Node) monitored(ctx context.Context) (leads bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Monitor+"/jsz", http.NoBody)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	var status struct {
		Disabled bool `json:"disabled"`
		Meta     *struct {
			Leader   string `json:"leader"`
			Replicas []struct {
				Current bool `json:"current"`
			} `json:"replicas"`
		} `json:"meta_cluster"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return false, fmt.Errorf("ask %s: %w", n.Name, err)
	}
	if status.Disabled {
		return false, fmt.Errorf("%s has no JetStream yet", n.Name)
	}
	if status.Meta == nil || status.Meta.Leader != n.Name {
		return false, nil
	}
	for _, replica := range status.Meta.Replicas {
		if !replica.Current {
			return false, fmt.Errorf("a server that %s leads is behind", n.Name)
		}
	}
	return len(status.Meta.Replicas) == n.others, nil
}
