package telemetry

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// A libraryLog writes what a library says of itself, in its own words, as the text of a
// line of the log.
type libraryLog struct {
	logger *slog.Logger
	name   string
}

func (l libraryLog) say(level slog.Level, text string) {
	l.logger.LogAttrs(context.Background(), level, "a library reports", slog.String("library", l.name), slog.String("text", strings.TrimSpace(text)))
}

// Write makes a line of the level debug.
func (l libraryLog) Write(p []byte) (int, error) {
	l.say(slog.LevelDebug, string(p))
	return len(p), nil
}

// NewHTTPLog returns a logger for the ErrorLog of an http.Server, which reports clients
// that misbehave. Without it net/http writes to stderr.
func NewHTTPLog(logger *slog.Logger) *log.Logger { return log.New(libraryLog{logger, "http"}, "", 0) }

// A grpcLog is the logger of grpc-go. What a client or a network did wrong is of the level
// debug, and what the library calls an error is a warning: nothing ends because of it.
type grpcLog struct{ libraryLog }

// NewGRPCLog returns a logger for grpclog.SetLoggerV2. Without it grpc-go writes its errors
// to stderr, unbounded and in a form of its own.
func NewGRPCLog(logger *slog.Logger) grpclog.LoggerV2 { return grpcLog{libraryLog{logger, "grpc"}} }

// Info and its kind say nothing: they are progress reports of connections.
func (grpcLog) Info(...any) {}

// Infoln says nothing.
func (grpcLog) Infoln(...any) {}

// Infof says nothing.
func (grpcLog) Infof(string, ...any) {}

// Warning logs a text at the level debug.
func (l grpcLog) Warning(args ...any) { l.say(slog.LevelDebug, fmt.Sprint(args...)) }

// Warningln is Warning.
func (l grpcLog) Warningln(args ...any) { l.say(slog.LevelDebug, fmt.Sprintln(args...)) }

// Warningf is Warning with a format.
func (l grpcLog) Warningf(format string, args ...any) {
	l.say(slog.LevelDebug, fmt.Sprintf(format, args...))
}

// Error logs a text as a warning.
func (l grpcLog) Error(args ...any) { l.say(slog.LevelWarn, fmt.Sprint(args...)) }

// Errorln is Error.
func (l grpcLog) Errorln(args ...any) { l.say(slog.LevelWarn, fmt.Sprintln(args...)) }

// Errorf is Error with a format.
func (l grpcLog) Errorf(format string, args ...any) {
	l.say(slog.LevelWarn, fmt.Sprintf(format, args...))
}

// Fatal logs a text as an error. grpclog itself ends the process.
func (l grpcLog) Fatal(args ...any) { l.say(slog.LevelError, fmt.Sprint(args...)) }

// Fatalln is Fatal.
func (l grpcLog) Fatalln(args ...any) { l.say(slog.LevelError, fmt.Sprintln(args...)) }

// Fatalf is Fatal with a format.
func (l grpcLog) Fatalf(format string, args ...any) {
	l.say(slog.LevelError, fmt.Sprintf(format, args...))
}

// V reports that no level of verbosity is wanted.
func (grpcLog) V(int) bool { return false }
