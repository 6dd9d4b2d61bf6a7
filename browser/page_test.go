package browser

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// TestPages: each page, in each state and theme, breaks no rule of accessibility, no policy, and asks
// no other host.
func TestPages(t *testing.T) {
	in := browser(t)
	full, empty := world(t), pagetest.New(t, pagetest.Options{})
	broken := pagetest.New(t, pagetest.Options{MaxStaleness: time.Hour, Fault: errors.New("scaler.yaml:7: unknown key \"adresses\", did you mean \"addresses\"?")})
	broken.Demo()
	open(in, t, broken.URL+"/", "light").await(`document.body.textContent.includes("21 / 4")`)
	broken.Other.Fail(fmt.Errorf("%w: dial tcp 10.0.0.7:6379: connect: connection refused", backlog.ErrUnavailable))
	// A history has its second sample after ten seconds.
	first := open(in, t, full.URL+"/triggers/shop/checkout", "light")
	for i := range 12 {
		full.Main.Set("orders", backlog.Reading{Ready: int64(20 + 7*i%40), Due: 6, InFlight: backlog.Exactly(12), Oldest: backlog.Age{Kind: backlog.AgeExact, Since: time.Now().Add(-95 * time.Second)}})
		time.Sleep(time.Second)
	}
	first.await(`!!document.querySelector("#d0 .line-wants")`)
	for _, tc := range []struct {
		name, url string
		height    int64
		wait      string
	}{
		{"triggers", full.URL + "/", 720, "shop/checkout"},
		{"no-match", full.URL + "/?q=nothing", 600, "No trigger matches"},
		{"trigger", full.URL + "/triggers/shop/checkout", 1080, "What is known"},
		{"trigger-rejected", full.URL + "/triggers/shop/exports", 900, "tagret"},
		{"trigger-error", full.URL + "/triggers/shop/reports", 900, "mismatch"},
		{"trigger-policy", full.URL + "/triggers/shop/uses-checkout", 1300, "From the signals"},
		{"connections", full.URL + "/connections", 500, "other-fake"},
		{"policies", full.URL + "/policies", 500, "Enforce via KEDA"},
		{"policy", full.URL + "/policies/shop/checkout", 1900, "office-hours"},
		{"about", full.URL + "/about", 600, "admin-address"},
		{"missing", full.URL + "/nothing", 500, "no such page"},
		{"outage", broken.URL + "/", 900, "Connection other cannot be read"},
		{"outage-connections", broken.URL + "/connections", 600, "connection refused"},
		{"empty", empty.URL + "/", 800, "KEDA has not asked"},
		{"empty-policies", empty.URL + "/policies", 500, "watches no AutoscalerPolicies"},
	} {
		for _, theme := range []string{"light", "dark"} {
			t.Run(tc.name+"/"+theme, func(t *testing.T) {
				b := open(in, t, tc.url, theme)
				b.await(fmt.Sprintf("document.body.textContent.includes(%q)", tc.wait))
				b.status("live")
				b.axe(tc.name)
				b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d) => { d.open = true })`))
				b.axe(tc.name + ", with all open")
				b.do(chromedp.Evaluate[chromedp.Void](`document.querySelectorAll("details").forEach((d) => { d.open = false })`))
				b.shot(tc.name+"-"+theme, tc.height)
				b.do(chromedp.EmulateViewport(360, 800))
				if wide := eval[bool](b, "document.documentElement.scrollWidth > 360"); wide {
					t.Errorf("on a narrow screen the page is %d wide", eval[int](b, "document.documentElement.scrollWidth"))
				}
				b.check(tc.name)
			})
		}
	}
}

// TestLive: what changes is shown at once, an outage too; a lost stream is shown, and resumes.
func TestLive(t *testing.T) {
	w := world(t)
	b := open(browser(t), t, w.URL+"/", "light")
	b.status("live")
	row := func(text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].some((r) => r.textContent.includes("bank/ledger") && r.textContent.includes(%q))`, text)
	}
	b.await(row("21 / 4"))
	w.Other.Set("transfers", backlog.Reading{Ready: 44})
	b.await(row("44 / 4"))

	w.Other.Fail(errors.Join(backlog.ErrUnavailable, errors.New("connection refused")))
	b.await(row("bridged"))
	b.await(`document.getElementById("banners").textContent.includes("Connection other cannot be read")`)
	w.Other.Fail(nil)
	b.await(row("active"))
	b.await(`!document.getElementById("banners").textContent.includes("cannot be read")`)

	b.lenient = true
	address := strings.TrimPrefix(w.URL, "http://")
	w.Stop()
	b.status("connection lost, as of ")
	if !eval[bool](b, `document.body.classList.contains("is-lost")`) {
		t.Error("a page that is not current does not look so")
	}
	w.Other.Set("transfers", backlog.Reading{Ready: 48})
	w.Serve(address)
	b.status("live")
	b.await(row("48 / 4"))
	b.check("live")
}

// TestPause: a paused page does not change, and is reached by the keyboard.
func TestPause(t *testing.T) {
	w := world(t)
	b := open(browser(t), t, w.URL+"/", "light")
	b.status("live")
	b.await(`document.body.textContent.includes("21 / 4")`)
	b.do(chromedp.KeyEvent(kb.Tab))
	if first := eval[string](b, "document.activeElement.textContent"); first != "Skip to the content" {
		t.Errorf("the first stop is %q", first)
	}
	for range 8 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if eval[bool](b, `document.activeElement.id === "pause"`) {
			break
		}
	}
	b.do(chromedp.KeyEvent(" "))
	b.status("paused, as of ")
	w.Other.Set("transfers", backlog.Reading{Ready: 52})
	time.Sleep(2500 * time.Millisecond)
	if eval[bool](b, `document.body.textContent.includes("52 / 4")`) {
		t.Error("a paused page changes")
	}
	b.do(chromedp.KeyEvent(" "))
	b.status("live")
	b.await(`document.body.textContent.includes("52 / 4")`)
	b.check("pause")
}

// TestMany: of 10,000 triggers 100 are shown, soon.
func TestMany(t *testing.T) {
	w := pagetest.New(t, pagetest.Options{})
	w.Fill(10_000)
	b := open(browser(t), t, w.URL+"/?sort=name", "light")
	if rows := eval[int](b, `document.querySelectorAll("tbody tr").length`); rows != inspector.PageSize {
		t.Errorf("%d rows", rows)
	}
	loaded := eval[float64](b, `performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd`)
	t.Logf("100 of 10,000 rows after %.0f ms", loaded)
	if loaded > 5000 {
		t.Errorf("the page takes %.0f ms", loaded)
	}
	b.status("live")
	b.do(chromedp.SendKeys(`input[name="q"]`, "worker-04321"+kb.Enter))
	b.await(`document.querySelectorAll("tbody tr").length === 1 && location.search.includes("worker-04321")`)
	b.check("many")
}

// TestHostileNames: a name that is markup is a text.
func TestHostileNames(t *testing.T) {
	w := pagetest.New(t, pagetest.Options{})
	w.Main.SetReady(pagetest.Hostile, 3)
	w.Ask("shop", pagetest.Hostile, "connection", "main", "queue", pagetest.Hostile)
	w.Ask("shop", "long", "connection", "main", "queue", strings.Repeat("x", 10_000))
	in := browser(t)
	b := open(in, t, w.URL+"/", "light")
	b.await(`document.body.textContent.includes("<svg onload=alert(1)>")`)
	b.status("live")
	w.Main.SetReady(pagetest.Hostile, 8)
	b.await(`document.body.textContent.includes("8 / 5")`)
	b.axe("hostile")
	if n := eval[int](b, `document.querySelectorAll("[onload], main script").length`); n != 0 {
		t.Errorf("%d elements come from a name", n)
	}
	b.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('tbody a[href*="svg"]').click()`))
	b.await(`location.pathname.includes("svg") && !!document.body && document.body.textContent.includes("wants 2 replicas")`)
	b.axe("hostile trigger")
	b.check("hostile")
}

// TestWithoutScript: every page is whole without a script.
func TestWithoutScript(t *testing.T) {
	w := world(t)
	b := open(browser(t), t, "http://"+strings.TrimPrefix(w.URL, "http://")+"/about", "light")
	if _, err := chromedp.Call(b.Context, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/": "shop/checkout", "/triggers/shop/checkout": "wants 11 replicas", "/policies/shop/checkout": "office-hours"} {
		b.do(chromedp.Navigate(w.URL + path))
		// The browser may replace the nodes of the page before while it is asked for one.
		var text string
		var err error
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			text, err = chromedp.Run(b.Context, chromedp.Text(chromedp.CSS("body")))
			if err == nil && strings.Contains(text, want) && strings.Contains(text, "as of ") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v, without %q:\n%s", path, err, want, text)
			}
		}
	}
	b.check("without a script")
}
