package redisstage

import (
	"fmt"
	"maps"
	"time"
)

// far is a score that is in the future of any run, and past one that is not.
const (
	far  = 4_000_000_000
	past = 1_000_000_000
)

// layouts are all ways in which the engine finds a queue, each as its users write it.
func layouts() []layout {
	return append([]layout{
		listLayout(), plainListLayout(), severalListsLayout(), streamGroupLayout("group", "stream", "workers", nil),
		streamLayout(), sortedSetLayout(), setLayout(), hashLayout(),
	}, frameworks()...)
}

func listLayout() layout {
	key, processing := "{list}:jobs", "{list}:jobs:processing"
	return layout{
		name: "list", metadata: map[string]string{"list": key, "inFlightList": "{queue}:processing"},
		keys:   []string{key, processing},
		add:    func(id string) []command { return []command{{"LPUSH", key, id}} },
		take:   func(string) []command { return []command{{"RPOPLPUSH", key, processing}} },
		finish: func(id string) []command { return []command{{"LREM", processing, 1, id}} },
	}
}

func plainListLayout() layout {
	return popped("plain", map[string]string{"list": "{plain}"}, "{plain}")
}

// popped is a list from which workers take for good.
func popped(name string, metadata map[string]string, key string) layout {
	return layout{
		name: name, metadata: metadata, keys: []string{key},
		add:    func(id string) []command { return []command{{"LPUSH", key, id}} },
		finish: func(string) []command { return []command{{"RPOP", key}} },
	}
}

// severalListsLayout is a trigger on two lists.
func severalListsLayout() layout {
	keys := []string{"{several}:0", "{several}:1"}
	of := func(id string) string { return keys[len(id)%2] }
	return layout{
		name: "several", metadata: map[string]string{"list": keys[0] + "," + keys[1]}, keys: keys,
		add:    func(id string) []command { return []command{{"RPUSH", of(id), id}} },
		finish: func(id string) []command { return []command{{"LREM", of(id), 1, id}} },
	}
}

// streamGroupLayout is a stream with a consumer group. Its entries have ids of their own
// choice, so that it is known which one a worker was served.
func streamGroupLayout(name, kind, group string, more map[string]string) layout {
	key := "{" + name + "}"
	metadata := map[string]string{kind: key, "consumerGroup": group}
	maps.Copy(metadata, more)
	return layout{
		name: name, metadata: metadata, keys: []string{key}, group: true,
		add: func(id string) []command {
			return []command{{"XGROUP", "CREATE", key, group, "0", "MKSTREAM"}, {"XADD", key, id + "-1", "job", id}}
		},
		take: func(string) []command {
			return []command{{"XREADGROUP", "GROUP", group, "worker", "COUNT", 1, "STREAMS", key, ">"}}
		},
		finish: func(id string) []command { return []command{{"XACK", key, group, id + "-1"}} },
	}
}

func streamLayout() layout {
	key := "{stream}"
	return layout{
		name: "stream", metadata: map[string]string{"stream": key, "missing": "zero"}, keys: []string{key},
		add:    func(id string) []command { return []command{{"XADD", key, id + "-1", "job", id}} },
		finish: func(id string) []command { return []command{{"XDEL", key, id + "-1"}} },
	}
}

func sortedSetLayout() layout {
	return scored("sortedSet", map[string]string{"sortedSet": "{sortedSet}"}, "{sortedSet}", time.Second)
}

// scored is a sorted set whose members count once the time in their score has come.
func scored(name string, metadata map[string]string, key string, unit time.Duration) layout {
	return layout{
		name: name, metadata: metadata, keys: []string{key}, unit: unit,
		add:    func(id string) []command { return []command{{"ZADD", key, past, key + id}} },
		finish: func(id string) []command { return []command{{"ZREM", key, key + id}} },
		later: func(id string, due time.Time) []command {
			return []command{{"ZADD", key, due.UnixNano() / int64(unit), key + id}}
		},
		// It becomes ready by itself.
		promote: func(string, time.Time) []command { return []command{{"ZCARD", key}} },
	}
}

func setLayout() layout {
	key := "{set}"
	return layout{
		name: "set", metadata: map[string]string{"set": key}, keys: []string{key},
		add:    func(id string) []command { return []command{{"SADD", key, id}} },
		finish: func(id string) []command { return []command{{"SREM", key, id}} },
	}
}

func hashLayout() layout {
	key := "{hash}"
	return layout{
		name: "hash", metadata: map[string]string{"hash": key}, keys: []string{key},
		add:    func(id string) []command { return []command{{"HSET", key, id, "job"}} },
		finish: func(id string) []command { return []command{{"HDEL", key, id}} },
	}
}

// moved are the commands that take a message from the sorted set of delayed ones.
func moved(set, id string, enqueue []command) []command {
	return append([]command{{"ZREM", set, id}}, enqueue...)
}

// seconds and milliseconds are scores.
func seconds(t time.Time) int64      { return t.Unix() }
func milliseconds(t time.Time) int64 { return t.UnixMilli() }

// arqLayout is a scored set whose jobs have a key of their own while they run. The id
// holds the key of the set, so that both are in one slot.
func arqLayout() layout {
	l := scored("arq", map[string]string{"arq": "{arq}"}, "{arq}", time.Millisecond)
	running := func(id string) string { return "arq:in-progress:{arq}" + id }
	l.take = func(id string) []command { return []command{{"SET", running(id), 1, "EX", 3600}} }
	l.finish = func(id string) []command { return []command{{"ZREM", "{arq}", "{arq}" + id}, {"DEL", running(id)}} }
	return l
}

func taskiqLayouts() []layout {
	return []layout{
		streamGroupLayout("taskiq", "taskiq", "taskiq", map[string]string{"broker": "stream"}),
		popped("taskiqList", map[string]string{"taskiq": "{taskiqList}", "broker": "list"}, "{taskiqList}"),
	}
}

// job is a job of the queue "jobs" in JSON.
func job(id string) string {
	return fmt.Sprintf(`{"class":"Job","args":[%s],"jid":%q,"queue":"jobs"}`, id, id)
}
