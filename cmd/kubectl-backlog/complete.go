package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// completeCommand is the hidden command by which a shell completes words. kubectl starts it through the script of
// completion.go: https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/
const completeCommand = "__complete"

// completeTimeout bounds a completion: a user waits for it with a key pressed.
const completeTimeout = time.Second

// What a shell does with the words, in the last line.
// https://github.com/spf13/cobra/blob/v1.10.2/completions.go#L58
const (
	orFiles = ":0" // completes files if there is none
	noFiles = ":4"
)

// A position is what the words of a command line before the last one say.
type position struct {
	// node is the command, and places are how many of its arguments are there.
	node   *kong.Node
	places []string
	// flags are those with a value.
	flags map[string][]string
	// pending is the flag whose value the last word is; nil if it is none.
	pending *kong.Flag
}

// locate reads the words before the last one.
func locate(model *kong.Application, words []string) position {
	p := position{node: model.Node, flags: make(map[string][]string)}
	for _, word := range words {
		switch {
		case p.pending != nil:
			p.flags[p.pending.Name] = append(p.flags[p.pending.Name], word)
			p.pending = nil
		case strings.HasPrefix(word, "-") && word != "-":
			name, value, has := strings.Cut(word, "=")
			flag := p.flag(name)
			switch {
			case flag == nil || flag.IsBool():
			case has:
				p.flags[flag.Name] = append(p.flags[flag.Name], value)
			default:
				p.pending = flag
			}
		default:
			child := slices.IndexFunc(p.node.Children, func(n *kong.Node) bool { return n.Name == word })
			if child < 0 {
				p.places = append(p.places, word)
			} else {
				p.node = p.node.Children[child]
			}
		}
	}
	return p
}

// flag returns a flag of the command by its name with dashes; nil if there is none.
func (p *position) flag(name string) *kong.Flag {
	for _, group := range p.node.AllFlags(true) {
		for _, flag := range group {
			if "--"+flag.Name == name || flag.Short != 0 && "-"+string(flag.Short) == name {
				return flag
			}
		}
	}
	return nil
}

// first is the first value of a flag; empty without one.
func (p *position) first(name string) string {
	if values := p.flags[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// complete prints the words that the last one may become, and what the shell does with them. Without an answer of the
// cluster there are fewer.
func complete(ctx context.Context, model *kong.Application, words []string, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	last := ""
	if len(words) > 0 {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	p := locate(model, words)
	// The value of --flag=value stands behind the name.
	head := ""
	if name, _, has := strings.Cut(last, "="); has && p.pending == nil && strings.HasPrefix(name, "--") {
		p.pending, head = p.flag(name), name+"="
	}
	found, then := p.suggest(ctx, strings.TrimPrefix(last, head))
	for _, word := range found {
		if strings.HasPrefix(head+word, last) {
			if _, err := fmt.Fprintln(stdout, head+word); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(stdout, then)
	return err
}

// suggest returns words for a place, and what the shell does with them.
func (p *position) suggest(ctx context.Context, last string) (words []string, then string) {
	switch {
	case p.pending != nil:
		return p.values(ctx)
	case strings.HasPrefix(last, "-"):
		for _, group := range p.node.AllFlags(true) {
			for _, flag := range group {
				words = append(words, "--"+flag.Name)
			}
		}
		return words, noFiles
	case len(p.node.Children) > 0:
		for _, child := range p.node.Children {
			words = append(words, child.Name)
		}
		return words, noFiles
	}
	switch p.node.Path() {
	case "explain":
		return p.named(ctx, last, scaledObjects), noFiles
	case "policy explain":
		return p.named(ctx, last, policies), noFiles
	case "policy check":
		return nil, orFiles
	default:
		return nil, noFiles
	}
}

// values returns the values of the flag that the last word is of.
func (p *position) values(ctx context.Context) (words []string, then string) {
	switch flag := p.pending; {
	case len(flag.EnumSlice()) > 1:
		return flag.EnumSlice(), noFiles
	case flag.Name == "kubeconfig" || flag.Name == "config" || flag.Name == "offline" || flag.Name == "dir":
		return nil, orFiles
	case flag.Name == "context":
		return contexts(p.first("kubeconfig")), noFiles
	case flag.Name == "namespace":
		return p.known(ctx, "", namespaces), noFiles
	case flag.Name == "trigger" && len(p.places) > 0:
		return p.triggers(ctx), noFiles
	default:
		return nil, noFiles
	}
}
