package kubeschema

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The modules whose files hold the schemas. They are pinned here and not in go.mod, for no package of
// theirs is imported: k8s.io/kubernetes cannot be required without 34 replacements. The checksum
// database vouches for what is downloaded.
const (
	kubernetesModule          = "k8s.io/kubernetes"
	kubernetesVersion         = "v1.36.3"
	prometheusOperatorModule  = "github.com/prometheus-operator/prometheus-operator"
	prometheusOperatorVersion = "v0.85.0"
	kedaModule                = "github.com/kedacore/keda/v2"
)

// download returns the folder of a module in the module cache, and brings it there first if need be.
func download(ctx context.Context, module, version string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = os.TempDir() // outside of every module, so that no go.sum is touched
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil || answer.Error != "" || runErr != nil {
		return "", fmt.Errorf("download module %s@%s: %s%s", module, version, answer.Error, stderr.String())
	}
	return answer.Dir, nil
}

// kedaVersion is the version of KEDA that the scaler itself is built against.
func kedaVersion(ctx context.Context, root string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", kedaModule)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find the version of %s in %s: %w", kedaModule, filepath.Join(root, "go.mod"), err)
	}
	return strings.TrimSpace(string(out)), nil
}
