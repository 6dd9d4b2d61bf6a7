// Package telemetry creates the logger and the registry of metrics.
package telemetry

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A Build identifies the program.
type Build struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	GoVersion string `json:"goVersion"`
}

// NewBuild returns the Build of a version. An empty revision is replaced by the one that the
// Go toolchain recorded, if any.
func NewBuild(version, revision string) Build {
	info, ok := debug.ReadBuildInfo()
	for i := 0; ok && i < len(info.Settings) && revision == ""; i++ {
		if info.Settings[i].Key == "vcs.revision" {
			revision = info.Settings[i].Value
		}
	}
	return Build{Version: version, Revision: cmp.Or(revision, "unknown"), GoVersion: runtime.Version()}
}

// Print prints the build of a program as a line.
func (b Build) Print(w io.Writer, program string) error {
	_, err := fmt.Fprintf(w, "%s %s (revision %s, %s)\n", program, b.Version, b.Revision, b.GoVersion)
	return err
}

// NewRegistry returns a registry with the metrics of the process and its build.
func NewRegistry(build Build) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "backlog_scaler", Name: "build_info", Help: "Version of the program; always 1.",
		ConstLabels: prometheus.Labels{"version": build.Version, "revision": build.Revision, "goversion": build.GoVersion},
	})
	info.Set(1)
	registry.MustRegister(info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
