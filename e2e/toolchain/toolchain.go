// Package toolchain builds the servers a run needs and keeps them between runs.
package toolchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// A Binary is one program of a tools module.
type Binary struct {
	Module  string // folder of the module, under tools
	Name    string // file name of the program
	Package string // import path
	// Stamp sets the version that the program reports, as the release of its module does; empty for a program that needs none.
	Stamp []string
}

// Binaries lists the servers of the control plane and of KEDA.
func Binaries() []Binary {
	return append(ControlPlane(),
		Binary{Module: "keda", Name: "keda-operator", Package: "github.com/kedacore/keda/v2/cmd/operator"},
		Binary{Module: "keda", Name: "keda-adapter", Package: "github.com/kedacore/keda/v2/cmd/adapter"},
	)
}

// ControlPlane lists the servers of the control plane.
func ControlPlane() []Binary {
	return []Binary{
		{Module: "etcd", Name: "etcd", Package: "go.etcd.io/etcd/server/v3"},
		// Without a version it says v0.0.0, on which Helm installs no chart that wants a later one.
		{Module: "kubernetes", Name: "kube-apiserver", Package: "k8s.io/kubernetes/cmd/kube-apiserver", Stamp: kubernetesVersion()},
		{Module: "kubernetes", Name: "kube-controller-manager", Package: "k8s.io/kubernetes/cmd/kube-controller-manager"},
	}
}

// kubernetesVersion is that of tools/kubernetes, as its own build sets it:
// https://github.com/kubernetes/kubernetes/blob/v1.36.3/hack/lib/version.sh
func kubernetesVersion() []string {
	const base = "k8s.io/component-base/version."
	return []string{base + "gitMajor=1", base + "gitMinor=36", base + "gitVersion=v1.36.3"}
}

// Clients lists the programs that docs/start.md uses and that need no container runtime to be built: kubectl, helm and kind.
func Clients() []Binary {
	return []Binary{
		{Module: "kubectl", Name: "kubectl", Package: "k8s.io/kubernetes/cmd/kubectl"},
		{Module: "helm", Name: "helm", Package: "helm.sh/helm/v3/cmd/helm"},
		{Module: "kind", Name: "kind", Package: "sigs.k8s.io/kind"},
	}
}

// Cache is where built programs lie: Root is the folder of the e2e module.
type Cache struct {
	Root string
	// Progress receives one line for each program that has to be built.
	Progress io.Writer
}

// Build makes sure that every program of list is there and returns its path by name. A program is built
// only when the module's go.mod or go.sum, the Go version or the platform has changed.
func (c Cache) Build(ctx context.Context, list []Binary) (map[string]string, error) {
	paths := make(map[string]string, len(list))
	for _, b := range list {
		path, err := c.build(ctx, b)
		if err != nil {
			return nil, err
		}
		paths[b.Name] = path
	}
	return paths, nil
}

func (c Cache) build(ctx context.Context, b Binary) (string, error) {
	module := filepath.Join(c.Root, "tools", b.Module)
	flags := "-s -w"
	if len(b.Stamp) > 0 {
		flags += " -X " + strings.Join(b.Stamp, " -X ")
	}
	key, err := moduleKey(module, b.Stamp)
	if err != nil {
		return "", err
	}
	path := filepath.Join(c.Root, ".bin", b.Module+"-"+key, b.Name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("look for %s: %w", b.Name, err)
	}
	fmt.Fprintf(c.Progress, "building %s (minutes the first time)\n", b.Name)
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return "", fmt.Errorf("create program folder: %w", err)
	}
	// No -trimpath: with it the packages could not be shared with the tests, which link KEDA's client code.
	partial := path + ".partial"
	if _, err := runGo(ctx, module, "build", "-ldflags="+flags, "-o", partial, b.Package); err != nil {
		return "", fmt.Errorf("build %s: %w", b.Name, err)
	}
	if err := os.Rename(partial, path); err != nil { // so that an interrupted build never counts as done
		return "", fmt.Errorf("keep %s: %w", b.Name, err)
	}
	return path, nil
}

// ModuleDir returns the folder of a module that the tools module uses, as KEDA's, which holds its CRDs.
func (c Cache) ModuleDir(ctx context.Context, toolsModule, module string) (string, error) {
	dir := filepath.Join(c.Root, "tools", toolsModule)
	if _, err := runGo(ctx, dir, "mod", "download", module); err != nil {
		return "", fmt.Errorf("fetch module %s: %w", module, err)
	}
	out, err := runGo(ctx, dir, "list", "-m", "-f", "{{.Dir}}", module)
	if err != nil {
		return "", fmt.Errorf("find module %s: %w", module, err)
	}
	return out, nil
}

// BuildScaler builds cmd/scaler of the checkout. It is always asked for: Go's own cache makes it cheap.
func (c Cache) BuildScaler(ctx context.Context) (string, error) { return c.buildProgram(ctx, "scaler") }

// BuildPlugin builds cmd/kubectl-backlog of the checkout.
func (c Cache) BuildPlugin(ctx context.Context) (string, error) {
	return c.buildProgram(ctx, "kubectl-backlog")
}

// buildProgram builds a program of the checkout.
func (c Cache) buildProgram(ctx context.Context, name string) (string, error) {
	path := filepath.Join(c.Root, ".bin", name)
	if _, err := runGo(ctx, filepath.Dir(c.Root), "build", "-o", path, "./cmd/"+name); err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

// moduleKey names a state of a tools module on this platform, and what its program is stamped with.
func moduleKey(dir string, stamp []string) (string, error) {
	h := sha256.New()
	for _, name := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("read tools module: %w", err)
		}
		h.Write(b)
	}
	fmt.Fprint(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for _, variable := range stamp {
		fmt.Fprint(h, variable)
	}
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// runGo runs the go command in dir and returns its output; an error holds what it wrote.
func runGo(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// Root finds the folder of the e2e module from the working directory of a test or a command.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find working directory: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "keda", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the e2e module: run from a folder inside it")
		}
		dir = parent
	}
}
