package config

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A recorder is an Observer that records its notifications.
type recorder struct {
	mu   sync.Mutex
	errs []error // guarded by mu: the Watcher appends, the test reads
}

func (r *recorder) Reloaded(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// take returns what came since the last call.
func (r *recorder) take() []error {
	r.mu.Lock()
	defer r.mu.Unlock()
	errs := r.errs
	r.errs = nil
	return errs
}

// watched is a Watcher that runs in a bubble of synctest, over real files.
type watched struct {
	*Watcher

	path     string
	observer *recorder
	log      *bytes.Buffer // the Watcher writes; read it only while everything waits
}

const testInterval = time.Second

// watch loads the configuration, lets change happen, and then starts the Watcher.
func watch(t *testing.T, path string, change func()) watched {
	t.Helper()
	config, err := Load(path, testEngines())
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change()
	}
	w := watched{path: path, observer: &recorder{}, log: &bytes.Buffer{}}
	w.Watcher = NewWatcher(path, testEngines(), config, testInterval, w.observer,
		slog.New(slog.NewTextHandler(w.log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if _, open := <-w.Updates(); open {
			t.Error("the channel delivers after the end")
		}
	})
	return w
}

// next waits for a Config, for a few looks at most.
func (w watched) next(t *testing.T) *Config {
	t.Helper()
	select {
	case config := <-w.Updates():
		return config
	case <-time.After(5 * testInterval):
		t.Fatalf("no configuration was delivered; log:\n%s", w.log)
		return nil
	}
}

// none expects that nothing is delivered for a few looks.
func (w watched) none(t *testing.T) {
	t.Helper()
	select {
	case config := <-w.Updates():
		t.Fatalf("a configuration was delivered: %v", config)
	case <-time.After(5 * testInterval):
	}
	synctest.Wait()
}

func password(c *Config) string { return c.Connections[0].Settings.Secret("password").Reveal() }

func TestWatcherDeliversChanges(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	secret := filepath.Join(dir, "secret")
	write(t, secret, "first")
	write(t, path, paper("password: {file: secret}"))
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, nil)
		w.none(t)

		write(t, path, paper("password: {file: secret}", "database: 3"))
		if got := w.next(t).Connections[0].Settings.Integer("database"); got != 3 {
			t.Errorf("database = %d, want 3", got)
		}
		write(t, secret, "other") // of the same size
		if got := password(w.next(t)); got != "other" {
			t.Errorf("password = %q, want the changed one", got)
		}
		w.none(t)
		if got := w.observer.take(); len(got) != 2 || errors.Join(got...) != nil {
			t.Errorf("observed %v, want two successes", got)
		}
	})
}

func TestWatcherSeesChangeBeforeStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	write(t, filepath.Join(dir, "secret"), "first")
	write(t, path, paper("password: {file: secret}"))
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, func() { write(t, filepath.Join(dir, "secret"), "other") })
		if got := password(w.next(t)); got != "other" {
			t.Errorf("password = %q, want the changed one", got)
		}
	})
}

// TestWatcherFollowsVolume swaps a folder as the kubelet does: files are links
// through "..data", which is a link to a folder and is replaced by a rename.
func TestWatcherFollowsVolume(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fill := func(version, secret string, lines ...string) {
		t.Helper()
		folder := filepath.Join(dir, version)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "config.yaml"), paper(append(lines, "password: {file: secret}")...))
		write(t, filepath.Join(folder, "secret"), secret)
		link(t, version, filepath.Join(dir, "..data_tmp"))
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	fill("..2026_1", "first")
	link(t, "..data/config.yaml", filepath.Join(dir, "config.yaml"))
	link(t, "..data/secret", filepath.Join(dir, "secret"))
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, filepath.Join(dir, "config.yaml"), nil)
		fill("..2026_2", "other", "database: 4")
		config := w.next(t)
		if got := config.Connections[0].Settings.Integer("database"); got != 4 || password(config) != "other" {
			t.Errorf("database = %d, password = %q, want those of the new folder", got, password(config))
		}
		if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
			t.Fatal(err)
		}
		w.none(t)
	})
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherKeepsOldOnFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.yaml")
	secret := filepath.Join(dir, "secret")
	good := paper("password: {file: secret}")
	write(t, secret, "first")
	write(t, path, good)
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, nil)

		write(t, path, paper("databse: 3"))
		w.none(t)
		write(t, path, paper("databse: 3", "# the same fault in another file"))
		w.none(t)
		if got := strings.Count(w.log.String(), "configuration is not valid"); got != 1 {
			t.Errorf("logged %d times, want once for one fault:\n%s", got, w.log)
		}
		if got := w.observer.take(); len(got) != 2 || got[0] == nil || got[1] == nil {
			t.Errorf("observed %v, want two failures", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		w.none(t)
		if got := strings.Count(w.log.String(), "configuration is not valid"); got != 2 {
			t.Errorf("logged %d times, want once more for another fault:\n%s", got, w.log)
		}
		w.observer.take()

		write(t, path, good)
		w.next(t)
		if got := w.observer.take(); len(got) != 1 || got[0] != nil {
			t.Errorf("observed %v, want one success", got)
		}

		// A secret that vanishes is a fault of the configuration, and its return is seen.
		if err := os.Remove(secret); err != nil {
			t.Fatal(err)
		}
		w.none(t)
		write(t, secret, "again")
		if got := password(w.next(t)); got != "again" {
			t.Errorf("password = %q, want the new one", got)
		}
	})
}

// TestWatcherWaitsForWriter changes the file at every check: half a file is never used.
func TestWatcherWaitsForWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	whole := paper("database: 5", "username: a")
	write(t, path, paper())
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, nil)
		time.Sleep(testInterval / 2) // so that writes and looks take turns
		for size := range 5 {
			write(t, path, whole[:len(whole)-5+size])
			time.Sleep(testInterval)
			synctest.Wait()
		}
		write(t, path, whole)
		if got := w.next(t).Connections[0].Settings.Text("username"); got != "a" {
			t.Errorf("username = %q, want that of the whole file", got)
		}
		if got := w.observer.take(); len(got) != 1 || got[0] != nil {
			t.Errorf("observed %v, want one success", got)
		}
	})
}

func TestWatcherStopsWhileNobodyReceives(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config.yaml")
	write(t, path, paper())
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, nil)
		write(t, path, paper("database: 5"))
		time.Sleep(5 * testInterval)
		synctest.Wait()
		if got := w.observer.take(); len(got) != 1 {
			t.Errorf("observed %v, want one success", got)
		}
	}) // the cleanup ends Run and waits for it
}
