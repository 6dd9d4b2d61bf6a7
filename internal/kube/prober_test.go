package kube

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
)

// podAt is a pod with the address of a server.
func podAt(t *testing.T, name string, server *httptest.Server) (*corev1.Pod, *v1alpha1.BusyHTTP) {
	t.Helper()
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseInt(port, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Status: corev1.PodStatus{PodIP: host}}
	return pod, &v1alpha1.BusyHTTP{Port: int32(number), Path: "/busy"}
}

// TestProber: only a whole answer that says so makes a pod idle.
func TestProber(t *testing.T) {
	t.Parallel()
	answers := map[string]struct {
		answer http.HandlerFunc
		want   bool
	}{
		"idle":            {write(http.StatusOK, `{"busy": false, "inFlight": 0}`), false},
		"busy":            {write(http.StatusOK, `{"busy": true}`), true},
		"another status":  {write(http.StatusServiceUnavailable, `{"busy": false}`), true},
		"not JSON":        {write(http.StatusOK, "idle"), true},
		"no field":        {write(http.StatusOK, `{"inFlight": 0}`), true},
		"null":            {write(http.StatusOK, `{"busy": null}`), true},
		"a text":          {write(http.StatusOK, `{"busy": "false"}`), true},
		"too long":        {write(http.StatusOK, `{"busy": false, "x": "`+strings.Repeat("x", 4096)+`"}`), true},
		"a redirect":      {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/idle", http.StatusFound) }, true},
		"cut in the body": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, true},
		"too late": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Second):
			}
		}, true},
	}
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(test.answer)
			defer server.Close()
			pod, at := podAt(t, "a", server)
			p := newProber(time.Now)
			if known, busy := p.answer(pod.UID); known || !busy {
				t.Error("a pod that was not asked is known or idle")
			}
			p.ask(t.Context(), at, []*corev1.Pod{pod})
			if known, busy := p.answer(pod.UID); !known || busy != test.want {
				t.Errorf("known %v, busy %v; want known, busy %v", known, busy, test.want)
			}
		})
	}
}

func write(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// TestProberTimes: an answer counts for ten seconds, and a pod is asked again after two.
func TestProberTimes(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		fmt.Fprint(w, `{"busy": false}`)
	}))
	defer server.Close()
	pod, at := podAt(t, "a", server)
	var now atomic.Int64
	p := newProber(func() time.Time { return start().Add(time.Duration(now.Load())) })
	for i, second := range []int{0, 1, 2, 3, 4} {
		now.Store(int64(time.Duration(second) * time.Second))
		p.ask(t.Context(), at, []*corev1.Pod{pod})
		if want := int32(i/2 + 1); asked.Load() != want {
			t.Errorf("second %d: asked %d times, want %d", second, asked.Load(), want)
		}
	}
	now.Store(int64(15 * time.Second))
	if known, busy := p.answer(pod.UID); known || !busy {
		t.Error("an old answer counts")
	}
	other, _ := podAt(t, "b", server)
	p.ask(t.Context(), at, []*corev1.Pod{other})
	if len(p.answers) != 1 {
		t.Errorf("%d answers are kept, want the new one", len(p.answers))
	}
}

// TestProberHostNetwork: the address of such a pod is that of its node, which is not asked.
func TestProberHostNetwork(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the node was asked") }))
	defer server.Close()
	pod, at := podAt(t, "a", server)
	pod.Spec.HostNetwork = true
	p := newProber(time.Now)
	p.ask(t.Context(), at, []*corev1.Pod{pod})
	if known, busy := p.answer(pod.UID); !known || !busy {
		t.Errorf("known %v, busy %v; want a busy pod", known, busy)
	}
}

// TestProberBound: hundreds of pods are asked at most 32 at a time.
func TestProberBound(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for {
			before := most.Load()
			if n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		fmt.Fprint(w, `{"busy": false}`)
	}))
	defer server.Close()
	var pods []*corev1.Pod
	var at *v1alpha1.BusyHTTP
	for i := range 300 {
		var pod *corev1.Pod
		pod, at = podAt(t, strconv.Itoa(i), server)
		pods = append(pods, pod)
	}
	p := newProber(time.Now)
	p.ask(t.Context(), at, pods)
	if most.Load() > maxProbes {
		t.Errorf("%d requests at a time, want at most %d", most.Load(), maxProbes)
	}
}
