// Package framework recognises job frameworks by the names of their keys and tables, and proposes the
// layouts that know them. It is pure. A proposal is a sentence: what it proposes counts more than a
// plain length, so that it is never applied without the author of the trigger.
package framework

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// A rule recognises the keys of a framework.
type rule struct {
	// pattern has the groups prefix and queue, where the framework has them.
	pattern *regexp.Regexp
	layout  string
	// sure is how sure the rule is.
	sure string
	// prefix is the parameter of the layout that names what is before the queue; empty without one.
	prefix string
	// standard is the prefix that needs no parameter.
	standard string
	// adds is what the layout counts that the length of the key does not.
	adds string
}

// redisRules returns the rules, the surest first. The keys are those that docs/triggers.md names for each
// layout.
func redisRules() []rule {
	return []rule{
		{regexp.MustCompile(`^asynq:\{(?P<queue>[^{}]+)\}:pending$`), "asynq", "certain", "", "", "active tasks, and scheduled ones and retries that are due"},
		{regexp.MustCompile(`^bq:(?P<queue>[^:]+):waiting$`), "beequeue", "high", "", "", "active jobs"},
		{regexp.MustCompile(`^(?P<prefix>[^:]+):(?P<queue>[^:]+):wait$`), "bullmq", "high", "prefix", "bull", "active, prioritised and due delayed jobs, and knows a queue that is paused"},
		{regexp.MustCompile(`^rq:queue:(?P<queue>.+)$`), "rq", "high", "", "", "jobs that workers have taken, and scheduled ones that are due"},
		{regexp.MustCompile(`^(?P<queue>arq:queue(?::.+)?)$`), "arq", "high", "", "", "jobs at work, and none that is deferred, so that the number falls"},
		{regexp.MustCompile(`^resque:queue:(?P<queue>.+)$`), "resque", "high", "", "", "jobs at work"},
		{regexp.MustCompile(`^(?P<prefix>.*)queues:(?P<queue>[^:]+)$`), "laravel", "medium", "prefix", "", "reserved jobs, and delayed ones that are due"},
		{regexp.MustCompile(`^queue:(?P<queue>[^:]+)$`), "sidekiq", "low: many programs name their own lists like this", "", "", "jobs at work, and scheduled ones and retries that are due"},
		{regexp.MustCompile(`^(?P<queue>[^\x06]+)\x06\x16\d$`), "celery", "certain", "", "", "tasks of all priorities, and those that are not acknowledged"},
		{regexp.MustCompile(`^(?P<queue>celery)$`), "celery", "medium", "", "", "tasks of all priorities, and those that are not acknowledged"},
		{regexp.MustCompile(`^dramatiq:(?P<queue>[^:]+?)(?:\.DQ)?$`), "dramatiq", "medium", "", "", "messages that are not acknowledged, and delayed ones that are due"},
	}
}

// Redis returns proposals for a list of that name.
func Redis(list string) []string {
	if queue, ok := strings.CutSuffix(list, ":waiting"); ok && strings.HasPrefix(list, "bull:") {
		return []string{fmt.Sprintf("BullMQ has no key %s, so that KEDA's number is always 0: write bullmq: %s in place of list", quote(list), quote(backlog.Escape(strings.TrimPrefix(queue, "bull:"))))}
	}
	for _, r := range redisRules() {
		m := r.pattern.FindStringSubmatch(list)
		if m == nil {
			continue
		}
		queue := backlog.Escape(m[r.pattern.SubexpIndex("queue")])
		text := fmt.Sprintf("this may be a queue of %s (%s). If it is, write %s: %s", r.layout, r.sure, r.layout, quote(queue))
		if i := r.pattern.SubexpIndex("prefix"); i >= 0 && m[i] != r.standard {
			text += fmt.Sprintf(" and %s: %s", r.prefix, quote(m[i]))
		}
		return []string{text + " in place of list: that layout also counts " + r.adds}
	}
	return nil
}

// A table belongs to a framework.
type table struct {
	engine, name, layout, queue string
}

// tables returns those of the layouts of postgresql and mysql.
func tables() []table {
	return []table{
		{"postgresql", `river_job`, "river", "queue"},
		{"postgresql", `pgboss\.job`, "pgBoss", "name"},
		{"postgresql", `good_jobs`, "goodJob", "queue_name"},
		{"postgresql", `solid_queue_(?:ready|claimed|scheduled)_executions`, "solidQueue", "queue_name"},
		{"postgresql", `oban_jobs`, "oban", "queue"},
		{"postgresql", `graphile_worker\.(?:_private_)?jobs`, "graphileWorker", "task_identifier"},
		{"postgresql", `pgmq\.q_\w+`, "pgmq", ""},
		{"postgresql", `bullmq\.job`, "bullmqPg", "queue"},
		{"postgresql", `procrastinate_jobs`, "procrastinate", "queue_name"},
		{"mysql", `solid_queue_(?:ready|claimed|scheduled)_executions`, "solidQueue", "queue_name"},
		{"mysql", `delayed_jobs`, "delayedJob", "queue"},
		{"mysql", `jobs`, "laravel", "queue"},
	}
}

// SQL returns proposals for a query on an engine.
func SQL(engine, query string) []string {
	for _, t := range tables() {
		from := regexp.MustCompile("(?i)\\bfrom\\s+[`\"]?" + t.name + "[`\"]?(?:\\s|;|$)")
		if t.engine != engine || !from.MatchString(query) {
			continue
		}
		if t.layout == "laravel" && !strings.Contains(query, "reserved_at") && !strings.Contains(query, "available_at") {
			continue
		}
		queue := "QUEUE"
		if t.queue != "" {
			if m := regexp.MustCompile(`(?i)\b` + t.queue + `["` + "`" + `]?\s*=\s*'([^']*)'`).FindStringSubmatch(query); m != nil {
				queue = m[1]
			}
		} else if m := regexp.MustCompile(`(?i)pgmq\.q_(\w+)`).FindStringSubmatch(query); m != nil {
			queue = m[1]
		}
		return []string{fmt.Sprintf("this is a table of %s. With %s: %s in place of query the connection needs no allowQueries, idle queues are noticed sooner where the framework notifies, and jobs at work count as well", t.layout, t.layout, quote(queue))}
	}
	return nil
}

// quote returns a text in quotes, as YAML has them.
func quote(text string) string { return strconv.Quote(backlog.Line(text)) }
