package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/backlog-scaler/backlog-scaler/internal/app"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/config"
	"github.com/backlog-scaler/backlog-scaler/internal/trigger"
)

// readCommand reads one queue once.
type readCommand struct {
	Config     string `required:"" type:"path" placeholder:"FILE" help:"Configuration file with the connections." env:"SCALER_CONFIG"`
	Connection string `required:"" help:"Name of the connection."`
	// TriggerNamespace is not named Namespace, because a parameter of a layout is.
	TriggerNamespace string        `help:"Namespace of the trigger. It is needed where the connection limits each query to a namespace."`
	Timeout          time.Duration `default:"5s" help:"Timeout of the read."`
	JSON             bool          `name:"json" help:"JSON output."`
	// Plugins holds a flag for each layout and parameter of the engines.
	kong.Plugins
}

// Run reads the queue and prints the reading.
func (c readCommand) Run(ctx context.Context, engines []backlog.Engine, stdout io.Writer) error {
	loaded, err := config.Load(c.Config, engines)
	if err != nil {
		return err
	}
	if _, err := app.NewCatalog(loaded, engines); err != nil {
		return err
	}
	// A user who can read the configuration may use all of its connections.
	for i := range loaded.Connections {
		loaded.Connections[i].Namespaces = []string{"*"}
		loaded.Connections[i].Queues = nil
	}
	metadata := metadataOf(c.Plugins)
	metadata["connection"] = c.Connection
	parsed, err := trigger.NewCatalog(loaded.Connections, engines).Parse(c.TriggerNamespace, metadata)
	if err != nil {
		return err
	}
	result, err := readOnce(ctx, loaded.Connections, engines, parsed, c.Timeout)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(stdout, parsed, result)
	}
	return printReading(stdout, parsed, result)
}

// readOnce opens the trigger's connection for one read.
func readOnce(
	ctx context.Context, connections []backlog.Connection, engines []backlog.Engine, parsed trigger.Trigger, timeout time.Duration,
) (result backlog.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for _, connection := range connections {
		if connection.Name != parsed.Connection {
			continue
		}
		source, err := open(ctx, engines, connection)
		if err != nil {
			return backlog.Result{}, err
		}
		result = readFound(ctx, source, parsed.Query)
		return result, errors.Join(result.Err, source.Close())
	}
	return backlog.Result{}, fmt.Errorf("no connection %q", parsed.Connection)
}

// readFound reads a query, and again while its source still searches for its queues. When
// ctx ends, the last result is returned.
func readFound(ctx context.Context, source backlog.Source, q backlog.Query) backlog.Result {
	result := source.Read(ctx, []backlog.Query{q}, nil)[0]
	for result.Pending {
		select {
		case <-ctx.Done():
			return result
		case <-time.After(10 * time.Millisecond):
		}
		again := source.Read(ctx, []backlog.Query{q}, nil)[0]
		if ctx.Err() != nil && again.Err != nil {
			return result
		}
		result = again
	}
	return result
}

// open opens a connection without a log, because errors are printed.
func open(ctx context.Context, engines []backlog.Engine, connection backlog.Connection) (backlog.Source, error) {
	for _, engine := range engines {
		if engine.Name == connection.Engine {
			return engine.Open(ctx, connection, slog.New(slog.DiscardHandler))
		}
	}
	return nil, fmt.Errorf("connection %q: unknown engine %q", connection.Name, connection.Engine)
}

// metadataFlags returns a struct with one text flag for each layout and parameter
// of the engines, named as in a ScaledObject but with dashes: "--consumer-group".
func metadataFlags(engines []backlog.Engine) any {
	var names []string
	help := map[string][]string{}
	add := func(name, text string) {
		if help[name] == nil {
			names = append(names, name)
		}
		help[name] = append(help[name], text)
	}
	for _, engine := range engines {
		for _, layout := range engine.Layouts {
			add(layout.Name, engine.Name+": "+layout.Queue)
			for _, parameter := range layout.Parameters {
				if help[parameter.Name] == nil {
					add(parameter.Name, cmp.Or(parameter.Doc, layout.Name))
				}
			}
		}
	}
	fields := make([]reflect.StructField, len(names))
	for i, name := range names {
		fields[i] = reflect.StructField{
			Name: string(unicode.ToUpper(rune(name[0]))) + name[1:],
			Type: reflect.TypeFor[string](),
			Tag: reflect.StructTag(fmt.Sprintf(`name:%q key:%q help:%q group:"Queue" placeholder:"TEXT"`,
				dashed(name), name, strings.ReplaceAll(strings.Join(help[name], "; "), "$", "$$"))),
		}
	}
	return reflect.New(reflect.StructOf(fields)).Interface()
}

// metadataOf returns the flags that were set, as metadata.
func metadataOf(plugins kong.Plugins) map[string]string {
	metadata := map[string]string{}
	for _, plugin := range plugins {
		value := reflect.ValueOf(plugin).Elem()
		for i := range value.NumField() {
			if text := value.Field(i).String(); text != "" {
				metadata[value.Type().Field(i).Tag.Get("key")] = text
			}
		}
	}
	return metadata
}

// dashed turns consumerGroup into consumer-group.
func dashed(name string) string {
	var b strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			b.WriteByte('-')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}
