package migrate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/builtin"
)

// mountFolder is where the chart mounts Secrets: the value secrets of deploy/keda/chart/values.yaml.
const mountFolder = "/etc/backlog-scaler/secrets/"

// Secrets are the Secrets whose values the scaler needs. Each is a folder.
type secrets struct {
	keys   map[[2]string][]string
	folder map[[2]string]string
}

func newSecrets() *secrets {
	return &secrets{keys: map[[2]string][]string{}, folder: map[[2]string]string{}}
}

func (s *secrets) add(secret builtin.Secret) {
	id := [2]string{secret.Namespace, secret.Name}
	if !slices.Contains(s.keys[id], secret.Key) {
		s.keys[id] = append(s.keys[id], secret.Key)
	}
}

// sorted returns the Secrets by namespace and name.
func (s *secrets) sorted() [][2]string {
	return slices.SortedFunc(maps.Keys(s.keys), func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
}

// name names the folders: after the Secret, and after its namespace too where two have the same name.
func (s *secrets) name() {
	count := map[string]int{}
	for id := range s.keys {
		count[id[1]]++
	}
	for id := range s.keys {
		s.folder[id] = id[1]
		if count[id[1]] > 1 {
			s.folder[id] = id[0] + "-" + id[1]
		}
	}
}

// path returns the path of the file of a key.
func (s *secrets) path(secret builtin.Secret) string {
	return mountFolder + s.folder[[2]string{secret.Namespace, secret.Name}] + "/" + secret.Key
}

func (s *secrets) report() []SecretReport {
	all := []SecretReport{}
	for _, id := range s.sorted() {
		slices.Sort(s.keys[id])
		all = append(all, SecretReport{Namespace: id[0], Name: id[1], Keys: s.keys[id], Copy: s.folder[id]})
	}
	return all
}
