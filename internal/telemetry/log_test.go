package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A page is where a log writes.
type page struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *page) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Split(strings.TrimSuffix(p.text.String(), "\n"), "\n")
}

// A hostile value prints as what a server could send.
type hostile struct{ text string }

func (h hostile) Error() string { return h.text }

// TestEveryLogLineIsShort: every attribute of a line is one short line, whatever its type.
func TestEveryLogLineIsShort(t *testing.T) {
	t.Parallel()
	text := "first\n\x1b[31m\u202e\xff" + strings.Repeat("x", 200_000)
	for _, format := range []string{telemetry.FormatText, telemetry.FormatJSON} {
		var p page
		log := telemetry.NewLog(&p, format, slog.LevelInfo, backlog.Line)
		logger := log.With("connection", text).WithGroup("g")
		for _, value := range []any{
			text,
			hostile{text},
			fmt.Errorf("wrapped: %w", errors.Join(hostile{text}, hostile{text})),
			[]string{text},
			map[string]string{text: text},
			struct{ A string }{text},
			slog.GroupValue(slog.String("inner", text)), []byte(text), &text,
		} {
			logger.Info("a message", "value", value)
		}
		log.Close()
		lines := p.lines()
		if len(lines) != 9 {
			t.Fatalf("%s: %d lines", format, len(lines))
		}
		for _, line := range lines {
			// Two attributes; quoting can double a text.
			if len(line) > 6*backlog.MaxLine || strings.ContainsAny(line, "\x1b\u202e") || !utf8.ValidString(line) || !strings.Contains(line, "a message") {
				t.Errorf("%s: %d bytes: %.300q", format, len(line), line)
			}
		}
	}
}

// TestRepeatedLinesAreCounted: of lines that are alike ten are written in a minute, and
// then one that says how many were suppressed.
func TestRepeatedLinesAreCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p page
		log := telemetry.NewLog(&p, telemetry.FormatText, slog.LevelInfo, backlog.Line)
		flood := func(n int) {
			for i := range n {
				log.Warn("queue read with a warning", "connection", "main", "queue", strconv.Itoa(i))
				log.With("connection", "other").Warn("queue read with a warning", "queue", strconv.Itoa(i))
			}
		}
		count := func(part string) (n int) {
			for _, line := range p.lines() {
				if strings.Contains(line, part) {
					n++
				}
			}
			return n
		}
		flood(1000)
		if got := count("queue="); got != 20 {
			t.Errorf("%d lines were written, want 10 of each connection", got)
		}
		// What is another kind is not lost in it.
		log.Warn("request rejected", "namespace", "shop", "code", "InvalidArgument")
		log.Warn("request rejected", "namespace", "bank", "code", "InvalidArgument")
		for i := range 50 {
			log.Error("the configuration cannot be used, the old one stays", "error", fmt.Sprint("fault ", i))
		}
		if count("request rejected") != 2 || count("fault") != 50 {
			t.Errorf("lines of other kinds were suppressed:\n%s", strings.Join(p.lines(), "\n"))
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		for _, connection := range []string{"main", "other"} {
			if got := count(`msg="log lines suppressed" line="queue read with a warning" suppressed=990 within=1m0s connection=` + connection); got != 1 {
				t.Errorf("%s: %d summaries:\n%s", connection, got, strings.Join(p.lines(), "\n"))
			}
		}
		// A window without a flood says nothing, and the next flood is counted again.
		flood(5)
		time.Sleep(2 * time.Minute)
		flood(12)
		log.Close()
		if got := count("suppressed=2 "); got != 2 {
			t.Errorf("%d summaries at the end:\n%s", got, strings.Join(p.lines(), "\n"))
		}
		if got := count("log lines suppressed"); got != 4 {
			t.Errorf("%d summaries in all", got)
		}
	})
}

// TestKindsAreBounded: names that a client invents make neither the memory nor the log grow.
func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p page
		log := telemetry.NewLog(&p, telemetry.FormatText, slog.LevelInfo, backlog.Line)
		for i := range 5000 {
			log.Warn("request rejected", "namespace", fmt.Sprint("invented-", i))
		}
		if got := len(p.lines()); got > 1010 {
			t.Errorf("%d lines", got)
		}
		log.Error("an error comes through", "namespace", "unheard-of")
		time.Sleep(61 * time.Second)
		// Their windows are over, so there is room again.
		log.Warn("request rejected", "namespace", "new")
		log.Close()
		text := strings.Join(p.lines(), "\n")
		for _, want := range []string{"an error comes through", `line="other log lines" suppressed=3990`, "namespace=new"} {
			if !strings.Contains(text, want) {
				t.Errorf("the log has no %s:\n%.2000s", want, text[max(0, len(text)-2000):])
			}
		}
	})
}

// TestLibrariesLogAtDebug: what grpc-go and net/http say is no line of their own on stderr.
func TestLibrariesLogAtDebug(t *testing.T) {
	t.Parallel()
	var p page
	log := telemetry.NewLog(&p, telemetry.FormatText, slog.LevelDebug, backlog.Line)
	defer log.Close()
	grpc := telemetry.NewGRPCLog(log.Logger)
	grpc.Infoln("progress")
	grpc.Warningf("a client %s\n", "went")
	grpc.Error("encode\x1b[2J")
	telemetry.NewHTTPLog(log.Logger).Printf("http: TLS handshake error from %s", "host")
	var got []string
	for _, line := range p.lines() {
		_, rest, _ := strings.Cut(line, "level=")
		got = append(got, "level="+rest)
	}
	want := `level=DEBUG msg="library message" library=grpc text="a client went"
level=WARN msg="library message" library=grpc text=encode\x1b[2J
level=DEBUG msg="library message" library=http text="http: TLS handshake error from host"`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
