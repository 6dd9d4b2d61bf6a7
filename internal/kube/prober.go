package kube

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/backlog-scaler/backlog-scaler/api/v1alpha1"
	"github.com/backlog-scaler/backlog-scaler/worker"
)

// The bounds of asking pods whether they are busy.
const (
	// probeTimeout bounds one request.
	probeTimeout = time.Second
	// probeInterval is the time after which a pod is asked again.
	probeInterval = 2 * time.Second
	// probeLife is how long an answer counts.
	probeLife = 10 * time.Second
	// maxProbes is the number of requests at a time.
	maxProbes = 32
	// maxHeader is the length of the headers of an answer in bytes.
	maxHeader = 4096
)

// A prober asks pods whether they are busy. Every replica asks for itself, and only while replicas
// are about to fall.
type prober struct {
	client *http.Client
	now    func() time.Time
	// slots bounds the requests at a time.
	slots chan struct{}

	// mu guards answers.
	mu      sync.Mutex
	answers map[types.UID]answer
}

// answer is what a pod answered last.
type answer struct {
	busy bool
	at   time.Time
}

func newProber(now func() time.Time) *prober {
	return &prober{
		now: now, slots: make(chan struct{}, maxProbes), answers: make(map[types.UID]answer),
		client: &http.Client{
			Timeout:       probeTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			// Neither a proxy nor an idle connection: pods come and go.
			Transport: &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxHeader},
		},
	}
}

// answer returns whether a pod is busy, and whether it was asked.
func (p *prober) answer(uid types.UID) (known, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, found := p.answers[uid]
	if !found || p.now().Sub(a.at) > probeLife {
		return false, true
	}
	return true, a.busy
}

// ask asks all pods whose answers are old, and returns when each has answered or failed. A failed
// request means busy, and so does a pod in the network of its node, because its address is not its
// own.
func (p *prober) ask(ctx context.Context, at *v1alpha1.BusyHTTP, pods []*corev1.Pod) {
	p.forget()
	var group sync.WaitGroup
	for _, pod := range pods {
		if pod.Status.PodIP == "" || !p.due(pod.UID) {
			continue
		}
		select {
		case p.slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		group.Go(func() {
			defer func() { <-p.slots }()
			busy := true
			if !pod.Spec.HostNetwork {
				var err error
				busy, err = p.request(ctx, "http://"+net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(at.Port)))+at.Path)
				busy = busy || err != nil
			}
			p.note(pod.UID, busy)
		})
	}
	group.Wait()
}

func (p *prober) due(uid types.UID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, found := p.answers[uid]
	return !found || p.now().Sub(a.at) >= probeInterval
}

func (p *prober) note(uid types.UID, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answers[uid] = answer{busy, p.now()}
}

// forget drops the answers that no longer count, which bounds the memory by the pods that were
// asked lately.
func (p *prober) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for uid, a := range p.answers {
		if p.now().Sub(a.at) > probeLife {
			delete(p.answers, uid)
		}
	}
}

// request asks one pod, whose answer is that of worker.Worker.
func (p *prober) request(ctx context.Context, url string) (bool, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, fmt.Errorf("ask pod: %w", err)
	}
	response, err := p.client.Do(request)
	if err != nil {
		return false, fmt.Errorf("ask pod: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	status, err := worker.ParseStatus(response.StatusCode, response.Body)
	return status.Busy, err
}
