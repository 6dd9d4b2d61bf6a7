package layout_test

import (
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/backlogtest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/mysql/mysqltest"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout/layouttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// counts are those of Laravel itself. Before version 12 it has only All, the sum of the others.
type counts struct {
	Pending, Delayed, Reserved int64
	All                        *int64
}

// agrees reports whether counts of Laravel are as wanted.
func (c counts) agrees(want counts) bool {
	if c.All != nil {
		return *c.All == want.Pending+want.Delayed+want.Reserved
	}
	return c == want
}

// TestLaravel compares the layout with what Laravel pushes, delays and pops, and with its own counts.
func TestLaravel(t *testing.T) {
	t.Parallel()
	for name, major := range map[string]string{"laravel-mysql": "13", "laravel-mysql-10": "10"} {
		t.Run(major, func(t *testing.T) {
			t.Parallel()
			testLaravel(t, name, major)
		})
	}
}

// testLaravel tests the version of Laravel that is installed under a name.
func testLaravel(t *testing.T, name, major string) {
	t.Helper()
	run := layouttest.Installed(t, name, "run")
	database := mysqltest.Start(t).Database(t)
	laravel := layouttest.StartScript(t, []string{"MYSQL_ADDRESS=" + database.Server.Addr(), "MYSQL_DATABASE=" + database.Name},
		[]string{run, "php"}, filepath.Join("laravel-mysql", "driver.php"))
	laravel.IntroduceDebian("laravel", name, major)
	t.Logf("Laravel %s", laravel.Version)
	laravel.Do(nil, "setup")
	source := backlogtest.Open(t, mysql.Engine(), backlog.Connection{Name: "jobs", Engine: "mysql", Settings: backlog.NewSettings(map[string]any{
		"address": database.Server.Addr(), "database": database.Name, "username": "root", "statementTimeout": time.Minute,
	})})
	q := backlog.Query{Layout: "laravel", Queue: "mail"}
	agree := func(what string, want counts) backlog.Reading {
		t.Helper()
		var own counts
		laravel.Do(&own, "counts", "mail")
		r := backlogtest.MustRead(t, source, q)
		if !own.agrees(want) || r.Ready != want.Pending || r.InFlight != backlog.Exactly(want.Reserved) || r.NextDue.IsZero() != (want.Delayed == 0) {
			t.Errorf("%s: %+v, Laravel has %+v, want %+v", what, r, own, want)
		}
		return r
	}
	if r := agree("nothing", counts{}); !r.Missing {
		t.Errorf("nothing: %+v, want Missing", r)
	}
	laravel.Do(nil, "add", "mail", 10)
	laravel.Do(nil, "add", "other", 2)
	r := agree("ten jobs", counts{Pending: 10})
	if age := time.Since(r.Oldest.Since); r.Oldest.Kind != backlog.AgeExact || age < 0 || age > 5*time.Minute {
		t.Errorf("the oldest of ten new jobs is %s old (%s)", age, r.Oldest.Kind)
	}
	laravel.Do(nil, "take", "mail", 3)
	agree("three are popped", counts{Pending: 7, Reserved: 3})
	laravel.Do(nil, "delay", "mail", 3600)
	r = agree("one is delayed", counts{Pending: 7, Reserved: 3, Delayed: 1})
	if left := time.Until(r.NextDue); left < 55*time.Minute || left > 61*time.Minute {
		t.Errorf("a job in an hour is due in %s", left)
	}
	laravel.Do(nil, "delay", "mail", 2)
	for deadline := time.Now().Add(mysqltest.Patience); backlogtest.MustRead(t, source, q).Ready != 8; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a job in two seconds is never due")
		}
	}
	agree("it is due", counts{Pending: 8, Reserved: 3, Delayed: 1})
}
