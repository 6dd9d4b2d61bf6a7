package framework_test

import (
	"strings"
	"testing"

	"github.com/backlog-scaler/backlog-scaler/internal/migrate/framework"
)

// TestRedis: names of keys, and what is proposed for them.
func TestRedis(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"mails":                    "",
		"asynq:{critical}:pending": `write asynq: "critical"`,
		"bull:mail:wait":           `write bullmq: "mail" in place of list`,
		"shop:mail:wait":           `write bullmq: "mail" and prefix: "shop" in place of list`,
		"bull:a:b:wait":            "",
		"bull:mail:waiting":        "BullMQ has no key",
		"bq:mail:waiting":          `write beequeue: "mail"`,
		"rq:queue:default":         `write rq: "default"`,
		"arq:queue":                `write arq: "arq:queue"`,
		"resque:queue:mail":        `write resque: "mail"`,
		"laravel_queues:default":   `write laravel: "default" and prefix: "laravel_"`,
		"queues:default":           `write laravel: "default" in place`,
		"queue:default":            `sidekiq (low`,
		"celery":                   `write celery: "celery"`,
		"mail\x06\x163":            `write celery: "mail"`,
		"dramatiq:mail":            `write dramatiq: "mail"`,
		"dramatiq:mail.DQ":         `write dramatiq: "mail"`,
		"rq:queue:a,b":             `write rq: "a\\,b"`,
	} {
		t.Run(list, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(framework.Redis(list), "\n")
			if want == "" && got != "" || !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// TestSQL: queries, and what is proposed for them.
func TestSQL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ engine, query, want string }{
		{"postgresql", "SELECT count(*) FROM tickets", ""},
		{"postgresql", "SELECT count(*) FROM river_job WHERE queue = 'mail' AND state = 'available'", `river: "mail"`},
		{"postgresql", "select count(*) from pgboss.job where name='mail'", `pgBoss: "mail"`},
		{"postgresql", "SELECT count(*) FROM pgmq.q_mail", `pgmq: "mail"`},
		{"postgresql", `SELECT count(*) FROM "good_jobs"`, `goodJob: "QUEUE"`},
		{"postgresql", "SELECT count(*) FROM jobs WHERE reserved_at IS NULL", ""},
		{"mysql", "SELECT count(*) FROM `jobs` WHERE queue = 'mail' AND reserved_at IS NULL", `laravel: "mail"`},
		{"mysql", "SELECT count(*) FROM jobs", ""},
		{"mysql", "SELECT count(*) FROM delayed_jobs;", `delayedJob: "QUEUE"`},
		{"mysql", "SELECT count(*) FROM river_job", ""},
	} {
		got := strings.Join(framework.SQL(tc.engine, tc.query), "\n")
		if tc.want == "" && got != "" || !strings.Contains(got, tc.want) {
			t.Errorf("%s: %s: got %q, want %q", tc.engine, tc.query, got, tc.want)
		}
	}
}
