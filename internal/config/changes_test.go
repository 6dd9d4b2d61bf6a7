package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	connection := func(name, namespace string, settings map[string]any) backlog.Connection {
		return backlog.Connection{Name: name, Namespaces: []string{namespace}, Settings: backlog.NewSettings(settings)}
	}
	before := &Config{
		Connections: []backlog.Connection{connection("a", "x", nil), connection("b", "x", nil), connection("c", "x", nil), connection("d", "x", nil)},
		Watches:     []Watch{{Name: "w", Trigger: map[string]string{"list": "a"}}, {Name: "v"}},
	}
	after := &Config{
		Connections: []backlog.Connection{
			connection("a", "x", nil), connection("b", "y", nil), connection("c", "x", map[string]any{"password": backlog.NewSecret("s3cret")}), connection("e", "x", nil),
		},
		Watches: []Watch{{Name: "w", Trigger: map[string]string{"list": "b"}}, {Name: "v"}},
	}
	if got, want := after.Changes(before), "connections added: e; connections changed: b, c; connections removed: d; watches changed: w"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := after.Changes(after); got != "" {
		t.Errorf("no change: %q", got)
	}
}

func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	var faults Faults
	for i := range 70 {
		faults = append(faults, Fault{Key: strconv.Itoa(i), Problem: "wrong"})
	}
	got := Problems(fmt.Errorf(invalid+"\n%w", faults))
	if len(got) != maxProblems+1 || got[0] != "0: wrong" || got[maxProblems] != "and 20 more" {
		t.Errorf("%d: %q ... %q", len(got), got[0], got[len(got)-1])
	}
	if got := Problems(errors.New("read the configuration: gone")); len(got) != 1 || got[0] != "read the configuration: gone" {
		t.Errorf("got %q", got)
	}
}

// TestWatcherReloadsWhenAsked: what is asked for is looked at once, also if it has not
// changed, and a fault is named again.
func TestWatcherReloadsWhenAsked(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/config.yaml"
	write(t, path, paper())
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, path, nil)
		synctest.Wait()
		for range 2 {
			w.Reload()
			synctest.Wait()
			select {
			case config := <-w.Updates():
				if config == nil {
					t.Fatal("the watcher has ended")
				}
			default:
				t.Fatal("nothing was delivered at once")
			}
		}
		write(t, path, paper("databse: 1"))
		for n := 1; n <= 2; n++ {
			w.Reload()
			synctest.Wait()
			if got := strings.Count(w.log.String(), "databse"); got != n {
				t.Errorf("after %d the log names the fault %d times:\n%s", n, got, w.log)
			}
		}
		w.none(t)
		write(t, path, paper("database: 1"))
		w.Reload()
		if got := w.next(t).Connections[0].Settings.Integer("database"); got != 1 {
			t.Errorf("database = %d", got)
		}
		w.none(t)
	})
}
