package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/redistest"
)

// TestWakeByHTTP: the token stands in a file, and a reload puts another one in force.
func TestWakeByHTTP(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	redis.Do("RPUSH", "jobs", "a")
	token := func(text string) string {
		path := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return standalone(redis.Addr(), "wakeToken: {file: "+path+"}") + watchJobs
	}
	s := start(t, token("first"), setup{})
	wake := func(bearer string) (code int, body string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.app.HTTPAddr().String()+"/wake/main/jobs", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+bearer)
		code, body, err = send(request)
		if err != nil {
			t.Fatal(err)
		}
		return code, strings.TrimSpace(body)
	}
	redistest.Eventually(t, "the queue is woken", func() bool {
		code, body := wake("first")
		return code == http.StatusAccepted && body == `{"queries":1}`
	})
	s.configure(token("second"))
	redistest.Eventually(t, "the new token is in force", func() bool {
		code, _ := wake("second")
		return code == http.StatusAccepted
	})
	if code, _ := wake("first"); code != http.StatusUnauthorized {
		t.Errorf("the old token is answered %d", code)
	}
}
