package telemetry

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"strings"

	"google.golang.org/grpc/grpclog"
)

// A libraryLog logs the messages of a library.
type libraryLog struct {
	logger *slog.Logger
	name   string
}

func (l libraryLog) log(level slog.Level, text string) {
	l.logger.LogAttrs(context.Background(), level, "library message", slog.String("library", l.name), slog.String("text", strings.TrimSpace(text)))
}

// Write logs a message at the level debug.
func (l libraryLog) Write(p []byte) (int, error) {
	l.log(slog.LevelDebug, string(p))
	return len(p), nil
}

// NewHTTPLog returns a logger for the ErrorLog of an http.Server, which reports misbehaving
// clients. Without it net/http writes to stderr.
func NewHTTPLog(logger *slog.Logger) *log.Logger { return log.New(libraryLog{logger, "http"}, "", 0) }

// A grpcLog is the logger of grpc-go. Its warnings, about clients and networks, become level
// debug, and its errors become warnings: the program goes on after them.
type grpcLog struct{ libraryLog }

// NewGRPCLog returns a logger for grpclog.SetLoggerV2. Without it grpc-go writes its errors to
// stderr, unbounded and in another format.
func NewGRPCLog(logger *slog.Logger) grpclog.LoggerV2 { return grpcLog{libraryLog{logger, "grpc"}} }

// Info discards a message: these report the progress of connections.
func (grpcLog) Info(...any) {}

// Infoln discards a message.
func (grpcLog) Infoln(...any) {}

// Infof discards a message.
func (grpcLog) Infof(string, ...any) {}

// Warning logs a message at the level debug.
func (l grpcLog) Warning(args ...any) { l.log(slog.LevelDebug, fmt.Sprint(args...)) }

// Warningln is Warning.
func (l grpcLog) Warningln(args ...any) { l.log(slog.LevelDebug, fmt.Sprintln(args...)) }

// Warningf is Warning with a format.
func (l grpcLog) Warningf(format string, args ...any) {
	l.log(slog.LevelDebug, fmt.Sprintf(format, args...))
}

// Error logs a message as a warning.
func (l grpcLog) Error(args ...any) { l.log(slog.LevelWarn, fmt.Sprint(args...)) }

// Errorln is Error.
func (l grpcLog) Errorln(args ...any) { l.log(slog.LevelWarn, fmt.Sprintln(args...)) }

// Errorf is Error with a format.
func (l grpcLog) Errorf(format string, args ...any) {
	l.log(slog.LevelWarn, fmt.Sprintf(format, args...))
}

// Fatal logs a message as an error. grpclog itself ends the process.
func (l grpcLog) Fatal(args ...any) { l.log(slog.LevelError, fmt.Sprint(args...)) }

// Fatalln is Fatal.
func (l grpcLog) Fatalln(args ...any) { l.log(slog.LevelError, fmt.Sprintln(args...)) }

// Fatalf is Fatal with a format.
func (l grpcLog) Fatalf(format string, args ...any) {
	l.log(slog.LevelError, fmt.Sprintf(format, args...))
}

// V reports that no level of verbosity is enabled.
func (grpcLog) V(int) bool { return false }
