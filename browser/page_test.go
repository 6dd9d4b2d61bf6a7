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

	"github.com/backlog-scaler/backlog-scaler/internal/page/pagetest"
	"github.com/backlog-scaler/backlog-scaler/internal/server/inspector"
)

// TestPages: each page, in each state and theme, breaks no rule of accessibility, no policy, and asks
// no other host. Triggers and connections are those of the real program on real servers of Redis;
// policies, whose objects need an API server, and faults of the file are in memory.
func TestPages(t *testing.T) {
	in := browser(t)
	running, down := startScaler(t), startScaler(t, "--max-staleness=1h")
	running.demo()
	down.demo()
	full, empty := world(t), pagetest.New(t, pagetest.Options{})
	broken := pagetest.New(t, pagetest.Options{MaxStaleness: time.Hour, Fault: errors.New("scaler.yaml:7: unknown key \"adresses\", did you mean \"addresses\"?")})
	broken.Demo()
	open(in, t, down.url+"/", "light").await(`document.body.textContent.includes("21 / 4")`)
	down.other.Kill()
	// A history has its second sample after ten seconds.
	trigger, policy := open(in, t, running.url+"/triggers/shop/checkout", "light"), open(in, t, full.URL+"/policies/shop/checkout", "light")
	for i := range 12 {
		running.add(3 * (i % 4))
		full.Main.SetReady("orders", int64(40+9*(i%5)))
		time.Sleep(time.Second)
	}
	trigger.await(`!!document.querySelector("#d0 .line-wants")`)
	policy.await(`!!document.querySelector("#decision .line-ceiling")`)
	for _, tc := range []struct {
		name, url string
		height    int64
		wait      string
	}{
		{"triggers", running.url + "/", 720, "shop/checkout"},
		{"no-match", running.url + "/?q=nothing", 600, "No trigger matches"},
		{"trigger", running.url + "/triggers/shop/checkout", 1080, "What is known"},
		{"trigger-rejected", running.url + "/triggers/shop/exports", 900, "tagret"},
		{"trigger-error", running.url + "/triggers/shop/reports", 900, "mismatch"},
		{"trigger-policy", full.URL + "/triggers/shop/uses-checkout", 1300, "From the signals"},
		{"connections", running.url + "/connections", 500, "at risk"},
		{"policies", full.URL + "/policies", 500, "Enforce via KEDA"},
		{"policy", full.URL + "/policies/shop/checkout", 1900, "office-hours"},
		{"about", running.url + "/about", 600, "admin-address"},
		{"missing", running.url + "/nothing", 500, "no such page"},
		{"outage", down.url + "/", 900, "Connection other cannot be read"},
		{"outage-connections", down.url + "/connections", 600, "connection refused"},
		{"fault", broken.URL + "/", 900, "did you mean"},
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

// TestLive: what changes in a real queue is shown at once, an outage of its server too; a page whose
// scaler is gone says so, and resumes with the next one.
func TestLive(t *testing.T) {
	s := startScaler(t, "--max-staleness=1h", "--read-timeout=500ms")
	s.demo()
	b := open(browser(t), t, s.url+"/", "light")
	b.status("live")
	row := func(text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].some((r) => r.textContent.includes("bank/ledger") && r.textContent.includes(%q))`, text)
	}
	b.await(row("21 / 4"))
	push(s.other, "transfers", 23)
	b.await(row("44 / 4"))

	unread := `document.getElementById("banners").textContent.includes("Connection other cannot be read")`
	for _, outage := range []struct {
		name       string
		begin, end func()
	}{
		{"a server that does not answer", s.other.Freeze, s.other.Thaw},
		{"a server that is gone", s.other.Kill, s.other.Restart},
	} {
		t.Log(outage.name)
		outage.begin()
		b.await(row("bridged"))
		b.await(unread)
		if !eval[bool](b, row("44 / 4")) {
			t.Errorf("%s: the last value is not shown", outage.name)
		}
		outage.end()
		b.await(row("active"))
		b.await("!" + unread)
	}

	b.lenient = true
	s.stop()
	b.status("connection lost, as of ")
	if !eval[bool](b, `document.body.classList.contains("is-lost")`) {
		t.Error("a page that is not current does not look so")
	}
	push(s.other, "transfers", 4)
	s.start()
	b.status("live")
	b.await(row("48 / 4"))

	// Its ports still accept connections, so the browser notices nothing.
	s.freeze()
	b.status("connection lost, as of ")
	s.thaw()
	b.status("live")
	push(s.other, "transfers", 4)
	b.await(row("52 / 4"))
	b.check("live")
}

// TestTrigger: the page of a trigger follows what is read and what KEDA calls, and says what to do.
func TestTrigger(t *testing.T) {
	s := startScaler(t, "--max-staleness=1h")
	s.demo()
	b := open(browser(t), t, s.url+"/triggers/shop/checkout", "light")
	b.status("live")
	has := func(text string) string {
		return fmt.Sprintf(`document.getElementById("d0").textContent.includes(%q)`, text)
	}
	for _, text := range []string{
		"wants 10 replicas (49 messages / 5 per replica), active", "37 ready + 12 in flight", "activation 3", "GetMetrics", "tracking",
	} {
		b.await(has(text))
	}
	s.add(6)
	b.await(has("wants 11 replicas (55 messages / 5 per replica)"))
	// What is there is no stream, so nothing can be counted.
	s.main.Do("DEL", "orders")
	push(s.main, "orders", 3)
	b.await(has("Correct the layout or the name of the queue in the trigger."))
	b.check("trigger")
}

// TestConnections: each connection has its server, how changes are noticed and why not better, its latency,
// its errors, and what endangers its queues.
func TestConnections(t *testing.T) {
	s := startScaler(t, "--max-staleness=1h", "--read-timeout=500ms")
	s.demo()
	s.ask("bank", "statements", "connection", "limited", "list", "statements")
	b := open(browser(t), t, s.url+"/connections", "light")
	b.status("live")
	row := func(connection, text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("tbody tr")].some((r) => r.querySelector("th a").textContent === %q && r.textContent.includes(%q))`, connection, text)
	}
	b.await(row("main", "tracking"))
	b.await(row("main", "redis "))
	b.await(row("main", " ms"))
	b.await(row("limited", "client|tracking"))
	b.await(row("other", "at risk: maxmemory-policy is allkeys-lru, so the server deletes queues when its memory is full"))
	if eval[bool](b, row("main", "at risk")) {
		t.Error("a server without a limit is at risk")
	}
	s.other.Kill()
	b.await(row("other", "connection refused"))
	b.await(row("other", "1 of 1 queue, for"))
	b.axe("connections")
	b.check("connections")
}

// TestPause: a paused page does not change, and is reached by the keyboard.
func TestPause(t *testing.T) {
	s := startScaler(t)
	s.demo()
	b := open(browser(t), t, s.url+"/", "light")
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
	push(s.other, "transfers", 31)
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
	s := startScaler(t)
	s.hostile()
	s.ask("shop", "long", "connection", "main", "list", strings.Repeat("x", 10_000))
	in := browser(t)
	b := open(in, t, s.url+"/", "light")
	b.await(`document.body.textContent.includes("<svg onload=alert(1)>")`)
	b.status("live")
	push(s.main, pagetest.Hostile, 5)
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
	s, w, in := startScaler(t), world(t), browser(t)
	s.demo()
	for _, page := range []struct{ host, path, want string }{
		{s.url, "/", "shop/checkout"}, {s.url, "/triggers/shop/checkout", "wants 10 replicas"}, {w.URL, "/policies/shop/checkout", "office-hours"},
	} {
		b := open(in, t, page.host+"/about", "light")
		if _, err := chromedp.Call(b.Context, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
			t.Fatal(err)
		}
		b.do(chromedp.Navigate(page.host + page.path))
		// The browser may replace the nodes of the page before while it is asked for one.
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			text, err := chromedp.Run(b.Context, chromedp.Text(chromedp.CSS("body")))
			if err == nil && strings.Contains(text, page.want) && strings.Contains(text, "as of ") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %v, without %q:\n%s", page.path, err, page.want, text)
			}
		}
		b.check("without a script")
	}
}
