package sidekiq

import (
	"errors"
	"strings"
	"time"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/layout"
	"github.com/backlog-scaler/backlog-scaler/internal/backlog/redis/resp"
)

// A reliable fetch moves a job to a private list of the process that takes it, and removes
// it from there when it is done. The jobs of a process that was killed stay there until
// another process moves them back to their queue: an hour later or when it starts.
//
//	working:queue:NAME:HOST:PID:NONCE  GitLab's gem, before 0.6 without NONCE
//	queue:sq|HOST:PID:NONCE|NAME       super_fetch of Sidekiq Pro
//	queue:sq_HOST:PID:NONCE_NAME       the same of Sidekiq Pro 3.4
//
// NONCE is that of Sidekiq itself in super_fetch alone. The processes with super_fetch are
// in the set super_processes; nothing lists the others, so their keys are searched.
//
// Sources: https://gitlab.com/gitlab-org/ruby/gems/sidekiq-reliable-fetch, lib/sidekiq/base_reliable_fetch.rb;
// https://github.com/sidekiq/sidekiq/issues/6007 and 3601. What they contain is not
// documented by Sidekiq Pro.
const (
	gitlabPrefix     = "working:queue:"
	superFetchPrefix = "queue:sq"
	superProcesses   = "super_processes"
)

// What a reading says of private lists that it may not know.
const (
	unseen = "so jobs are not visible that a reliable fetch (super_fetch of Sidekiq Pro, GitLab's gem) keeps for a process that was killed; set fetch to basic if none is used"

	noScan    = "the server does not allow SCAN, " + unseen
	noSearch  = "too many patterns of names are searched on this connection, " + unseen
	noList    = "the server does not allow access to all keys of a reliable fetch (super_processes, queue:sq*, working:queue:*), " + unseen
	moreLists = "there are more private lists of a reliable fetch than are read, so not all jobs in them are visible"
)

// A privateList is a list in which a reliable fetch keeps jobs of the queue.
type privateList struct {
	key string
	// identity is HOST:PID:NONCE or HOST:PID of the process.
	identity string
}

// privateLists finds the private lists of one queue.
type privateLists struct {
	prefix, queue string
	keys          layout.KeySearch
	// searches are the same for all queues of a namespace.
	searches []layout.Search

	// revision is that of the findings from which lists were made.
	revision uint64
	lists    []privateList
	// searched is when the older one of the last complete searches began; zero if there
	// was none. problem is why the lists may not be all; nil if they are.
	searched time.Time
	problem  error
}

func newPrivateLists(prefix, queue string, keys layout.KeySearch) *privateLists {
	p := &privateLists{prefix: prefix, queue: queue, keys: keys, searches: []layout.Search{
		{Type: "list", Pattern: layout.EscapePattern(prefix+gitlabPrefix) + "*"},
		{Type: "list", Pattern: layout.EscapePattern(prefix+superFetchPrefix) + "[|_]*"},
	}}
	for _, s := range p.searches {
		keys.Begin(s)
	}
	return p
}

// update takes over what the searches have found.
func (p *privateLists) update(now time.Time) {
	revision := uint64(1)
	all := make([]layout.Found, len(p.searches))
	p.problem, p.searched = nil, time.Time{}
	for i, s := range p.searches {
		f := p.keys.Find(s, now)
		all[i] = f
		revision += f.Revision
		if p.problem == nil {
			p.problem = f.Problem
		}
		if f.More && p.problem == nil {
			p.problem = errMoreKeys
		}
		if i == 0 || f.Searched.Before(p.searched) {
			p.searched = f.Searched
		}
	}
	if revision == p.revision {
		return
	}
	p.revision, p.lists = revision, nil
	for _, f := range all {
		for _, key := range f.Keys {
			if identity, is := p.parse(key); is {
				p.lists = append(p.lists, privateList{key, identity})
			}
		}
	}
}

// errMoreKeys is a search that found more keys than it keeps.
var errMoreKeys = errors.New("there are more keys than a search keeps")

// parse returns the identity of the process for which a key holds jobs of the queue.
func (p *privateLists) parse(key string) (identity string, is bool) {
	key, is = strings.CutPrefix(key, p.prefix)
	if !is {
		return "", false
	}
	if rest, found := strings.CutPrefix(key, gitlabPrefix+p.queue+":"); found {
		return rest, isIdentity(rest)
	}
	rest, found := strings.CutPrefix(key, superFetchPrefix)
	if !found || rest == "" {
		return "", false
	}
	separator := rest[:1]
	identity, is = strings.CutSuffix(rest[1:], separator+p.queue)
	return identity, is && isIdentity(identity)
}

// superList returns the list in which super_fetch keeps jobs of the queue for a process.
func (p *privateLists) superList(identity string) privateList {
	return privateList{p.prefix + superFetchPrefix + "|" + identity + "|" + p.queue, identity}
}

// with returns the lists that were found, and those of processes with super_fetch.
func (p *privateLists) with(superProcesses []string) []privateList {
	known := make(map[string]bool, len(p.lists))
	all := make([]privateList, 0, len(p.lists)+len(superProcesses))
	for _, l := range p.lists {
		known[l.key] = true
		all = append(all, l)
	}
	for _, identity := range superProcesses {
		if l := p.superList(identity); !known[l.key] {
			all = append(all, l)
		}
	}
	return all
}

// markUnseen notes in a reading that there may be private lists that were not found.
func (p *privateLists) markUnseen(r *backlog.Reading) {
	if p.problem == nil {
		return
	}
	if r.Quality == backlog.Exact {
		r.Quality = backlog.LowerBound
	}
	switch {
	case errors.Is(p.problem, layout.ErrTooManySearches):
		r.AddWarning(noSearch)
	case errors.Is(p.problem, errMoreKeys):
		r.AddWarning(moreLists)
	case errors.Is(resp.Reason(p.problem), backlog.ErrDenied):
		r.AddWarning(noScan)
	}
}

// stale reports whether no search has gone through all keys since a moment, although one
// can: then a list of that moment may not have been found.
func (p *privateLists) stale(moment time.Time) bool {
	if p.problem != nil || !p.searched.Before(moment) {
		return false
	}
	for _, s := range p.searches {
		p.keys.SearchSince(s, moment)
	}
	return true
}

// isIdentity reports whether a text is HOST:PID or HOST:PID:NONCE.
func isIdentity(text string) bool {
	parts := strings.Split(text, ":")
	if len(parts) < 2 || len(parts) > 3 || parts[0] == "" || !consistsOf(parts[1], "0123456789") {
		return false
	}
	return len(parts) == 2 || consistsOf(parts[2], "0123456789abcdef")
}

// consistsOf reports whether a text is not empty and has no other characters.
func consistsOf(text, characters string) bool {
	return text != "" && strings.Trim(text, characters) == ""
}

// hostAndPID returns an identity without its nonce.
func hostAndPID(identity string) string {
	if parts := strings.SplitN(identity, ":", 3); len(parts) == 3 {
		return parts[0] + ":" + parts[1]
	}
	return identity
}
