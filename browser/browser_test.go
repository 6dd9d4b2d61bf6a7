// Package browser tries the web page in a real browser: Chromium, as Debian packages it, driven over
// its own protocol, with the accessibility rules of axe-core.
package browser

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
)

// screenshots makes the pictures of the documentation again.
var screenshots = flag.String("screenshots", "", "write a screenshot of each page and theme into this folder")

// patience bounds what a test waits for.
const patience = time.Minute

// A tab is a tab of the browser with a page of one World.
type tab struct {
	testing.TB
	context.Context //nolint:containedctx // chromedp keeps its tab in one

	// mu guards faults: errors of the console, violations of the policy of the page, and requests to
	// other hosts.
	mu     sync.Mutex
	faults []string
	url    string
	// lenient reports whether requests that fail are part of the test.
	lenient bool
}

// browser returns a browser. The test fails where there is none.
func browser(t testing.TB) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Fatal("chromium is not installed; install it with hack/install-servers.sh")
	}
	allocator, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))...)
	t.Cleanup(cancel)
	ctx, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return ctx
}

// open returns a tab that has opened an address in a theme: "light" or "dark".
func open(in context.Context, t testing.TB, url, theme string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	t.Cleanup(cancel)
	ctx, stop := context.WithTimeout(ctx, 2*patience)
	t.Cleanup(stop)
	b := &tab{TB: t, Context: ctx, url: url}
	host := strings.TrimPrefix(url, "http://")
	host, _, _ = strings.Cut(host, "/")
	requests, entries, exceptions := chromedp.Events(ctx, network.RequestWillBeSent), chromedp.Events(ctx, log.EntryAdded), chromedp.Events(ctx, runtime.ExceptionThrown)
	go func() {
		for e, err := range requests {
			if err != nil {
				return
			}
			if !strings.HasPrefix(e.Request.URL, "http://"+host+"/") {
				b.fault("a request to " + e.Request.URL)
			}
		}
	}()
	go func() {
		for e, err := range entries {
			if err != nil {
				return
			}
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				b.fault(fmt.Sprint(e.Entry.Source, ": ", e.Entry.Text))
			}
		}
	}()
	go func() {
		for e, err := range exceptions {
			if err != nil {
				return
			}
			b.fault("exception: " + e.ExceptionDetails.Text)
		}
	}()
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, struct{}{}); err != nil {
		t.Fatal(err)
	}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(1400, 900), chromedp.Navigate(url))
	return b
}

func (b *tab) fault(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// A page for an address that there is not has status 404, which Chromium logs.
	if strings.Contains(text, "status of 404") && strings.HasSuffix(b.url, "/nothing") {
		return
	}
	if b.lenient && (strings.Contains(text, "ERR_CONNECTION") || strings.Contains(text, "ERR_INCOMPLETE") || strings.Contains(text, "ERR_EMPTY")) {
		return
	}
	b.faults = append(b.faults, text)
}

// check fails the test for each fault so far.
func (b *tab) check(what string) {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, text := range b.faults {
		b.Errorf("%s: %s", what, text)
	}
	b.faults = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.Context, steps...); err != nil {
		b.Fatal(err)
	}
}

// eval returns the value of an expression.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	value, err := chromedp.Run(b.Context, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("evaluate %.100s: %v", expression, err)
	}
	return value
}

// await waits until an expression is true. While a page is replaced by the next one it has no value.
func (b *tab) await(expression string) {
	b.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		is, err := chromedp.Run(b.Context, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise))
		switch {
		case err == nil && is:
			return
		case time.Now().After(deadline):
			b.Fatalf("never true: %s, %v\n%s", expression, err, eval[string](b, "document.body.innerText"))
		}
	}
}

// status waits until the status of the page has a text.
func (b *tab) status(text string) {
	b.Helper()
	b.await(fmt.Sprintf("document.getElementById('status').textContent.includes(%q)", text))
}

// axe runs the accessibility rules on the page.
func (b *tab) axe(what string) {
	b.Helper()
	source, err := axe()
	if err != nil {
		b.Fatal(err)
	}
	eval[bool](b, source+"; true")
	found := eval[[]string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) => v.id + ": " + v.help + " " + v.nodes.map((n) => n.html.slice(0, 150)).join(" | ")))`)
	for _, violation := range found {
		b.Errorf("%s: %s", what, violation)
	}
}

// axe returns the source of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	for _, folder := range []string{"../.tools/axe", "axe"} {
		source, err := os.ReadFile(filepath.Join(folder, "node_modules", "axe-core", "axe.min.js"))
		if err == nil {
			return string(source), nil
		}
	}
	return "", errors.New("axe-core is not installed; install it with hack/install-servers.sh")
})

// shot writes a screenshot, if they are wanted.
func (b *tab) shot(name string, height int64) {
	b.Helper()
	if *screenshots == "" {
		return
	}
	b.do(chromedp.EmulateViewport(1400, height))
	data, err := chromedp.Run(b.Context, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*screenshots, name+".png"), data, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// world returns a World in all states.
func world(t testing.TB) *pagetest.World {
	t.Helper()
	w := pagetest.New(t, pagetest.Options{Policies: true, MaxStaleness: time.Hour})
	w.Demo()
	w.SetPolicy("checkout", 4)
	return w
}
